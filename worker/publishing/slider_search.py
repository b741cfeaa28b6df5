"""Finds a generator's sliders: directions of w that brighten a face, or change its shape.

What can be measured in pixels gets a direction by regression (arXiv:1907.10786 finds its normals
so from scores); beyond that the directions that move the styles most (SeFa, arXiv:2007.06600).
Each is tested on other faces, and kept where nearly all of them follow it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import structlog
import torch
from numpy.typing import NDArray

from models.bundle.generator import Drawer, Floats, Pixels
from models.faces import latents
from models.faces.sliders import HIGH, LOW, Slider
from models.networks import modern

SAMPLES = 384  # faces from which directions are computed; drawing them takes a core a second
TRIALS = 24  # other faces on which a direction is tested
REACH = 2.0  # standard deviations of w along a direction, from the middle to an end
LEAST_EFFECT = 0.7  # standard deviations from end to end; less is hardly visible
LEAST_OBEYED = 0.85
SHAPES = ("shape_1", "shape_2", "shape_3", "shape_4")
TRIES = 8  # of the strongest directions; weaker ones hardly move a face
ALIKE = 0.6  # cosine from which two directions count as one
BATCH = 32

log = structlog.get_logger()

Doubles = NDArray[np.float64]
Values = dict[str, Doubles]
THIRDS = ("at the top", "in the middle", "at the bottom")


def _luma(x: Doubles) -> Doubles:
    luma: Doubles = x @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    return luma


# (N, S, S, 3) in [0, 1] → one number for each face. A description says what a larger one means.
Measure = Callable[[Doubles], Doubles]
Property = tuple[str, Measure]
PROPERTIES: dict[str, Property] = {
    "brightness": ("darker to brighter", lambda x: _luma(x).mean((1, 2))),
    "warmth": ("bluer to redder", lambda x: (x[..., 0] - x[..., 2]).mean((1, 2))),
    "greenness": (
        "more magenta to greener",
        lambda x: (x[..., 1] - (x[..., 0] + x[..., 2]) / 2).mean((1, 2)),
    ),
    "vividness": ("greyer to more vivid", lambda x: np.ptp(x, axis=3).mean((1, 2))),
    "contrast": ("softer to stronger contrast", lambda x: _luma(x).std((1, 2))),
}


@dataclass(frozen=True)
class SearchResult:
    """Sliders, and the vector (style,) of each by its name."""

    sliders: list[Slider]
    vectors: dict[str, Floats]


def find(
    network: torch.nn.Module,
    drawer: Drawer,
    reserved_names: Sequence[str] = (),
    properties: Mapping[str, Property] = PROPERTIES,
    shapes: Sequence[str] = SHAPES,
) -> SearchResult:
    """Find sliders that faces follow.

    network: the generator that the drawer draws with. reserved_names: names that attributes have.
    properties: what to find a direction for. shapes: names for directions without a known meaning.

    The result is empty where the network has no styles, or no direction works.
    """
    nothing_to_find = not properties and not shapes
    if nothing_to_find or not isinstance(network, modern.Generator) or network.mapping is None:
        return SearchResult([], {})
    w = _styles(drawer, "slider", SAMPLES)
    trial_styles = _styles(drawer, "slider try", TRIALS)
    values = _measure(drawer, w, properties)
    result = SearchResult([], {})
    for name, direction in _by_regression(w, values):
        if name not in reserved_names:
            vector = _scale_to_reach(direction, w)
            _keep_if_obeyed(
                result, drawer, trial_styles, name, properties[name], vector, values[name]
            )
    names = [name for name in shapes if name not in reserved_names]
    for direction in islice(_by_weights(network), TRIES):
        vector = _scale_to_reach(direction, w)
        is_new = all(abs(_cosine(vector, other)) < ALIKE for other in result.vectors.values())
        if (
            names
            and is_new
            and _keep_if_shape_changes(result, drawer, trial_styles, vector, names[0])
        ):
            names.pop(0)
    return result


def _by_regression(w: Floats, values: Values) -> Iterator[tuple[str, Doubles]]:
    """The normal of each property that differs between faces: ridge regression on w."""
    deviations = (w - w.mean(0)).astype(np.float64)
    covariance = deviations.T @ deviations / len(w)
    # As large as the mean variance, so that elements of w that hardly vary do not decide it.
    ridge = np.eye(len(covariance)) * max(np.trace(covariance) / len(covariance), 1e-12)
    for name, value in values.items():
        if value.std() > 1e-4:
            target = (value - value.mean()) / value.std()
            yield name, np.linalg.solve(covariance + ridge, deviations.T @ target / len(w))


def _by_weights(network: modern.Generator) -> Iterator[Doubles]:
    """Eigenvectors of the stacked, row-normalised layers that read w; the strongest first."""
    blocks = [block for block in network.synthesis.blocks if isinstance(block, modern.Block)]
    layers = [network.synthesis.start, *(block.affine for block in blocks)]
    rows = torch.cat([layer.weight.detach().double().cpu() for layer in layers]).numpy()
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    _, vectors = np.linalg.eigh(rows.T @ rows)
    yield from vectors.T[::-1]


def _scale_to_reach(direction: Doubles, w: Floats) -> Floats:
    """Scale a direction to REACH standard deviations of w along it."""
    unit = direction / max(float(np.linalg.norm(direction)), 1e-12)
    length = REACH * float((w @ unit).std())
    return (unit * length).astype(np.float32)


def _keep_if_obeyed(
    result: SearchResult,
    drawer: Drawer,
    trial_styles: Floats,
    name: str,
    measured_property: Property,
    vector: Floats,
    sample_values: Doubles,
) -> None:
    """Keep a direction where more of it gives more of its property, face by face."""
    ends = (trial_styles + end * vector for end in (LOW, 0, HIGH))
    low, middle, high = (_measure(drawer, w, {name: measured_property})[name] for w in ends)
    effect = float((high - low).mean() / sample_values.std())
    share = float(((low <= middle) & (middle <= high)).mean())
    if effect >= LEAST_EFFECT and share >= LEAST_OBEYED:
        _keep(
            result,
            Slider(name=name, changes=measured_property[0], effect=effect, obeyed=share),
            vector,
        )
    else:
        log.info("slider.refused", name=name, effect=effect, obeyed=share)


def _keep_if_shape_changes(
    result: SearchResult, drawer: Drawer, trial_styles: Floats, vector: Floats, name: str
) -> bool:
    """Keep a direction where its ends differ more from each other than from the face itself.

    It has no known meaning, and is described by where it changes a face and what else it does.
    """
    low, middle, high = (_draw(drawer, trial_styles + end * vector) / 255 for end in (LOW, 0, HIGH))
    differences = np.square(high - low).mean(3)
    halves = [np.square(end - middle).mean((1, 2, 3)) for end in (low, high)]
    effect = float(np.sqrt(differences).mean() / max(middle.std(0).mean(), 1e-12))
    share = float((differences.mean((1, 2)) > np.maximum(*halves)).mean())
    if effect < LEAST_EFFECT or share < LEAST_OBEYED:
        return False
    place = THIRDS[int(np.argmax([part.mean() for part in np.array_split(differences, 3, axis=1)]))]
    changes = "; ".join(
        [f"another shape, mostly {place}", *_describe_side_effects(_values(low), _values(high))]
    )
    _keep(result, Slider(name=name, changes=changes, effect=effect, obeyed=share), vector)
    return True


def _describe_side_effects(low: Values, high: Values) -> Iterator[str]:
    """Describe which properties change as well."""
    for name, (words, _) in PROPERTIES.items():
        change = (high[name] - low[name]).mean() / max(low[name].std(), 1e-6)
        if abs(change) >= 1:
            ends = words.split(" to ")
            yield "from " + " to ".join(ends if change > 0 else ends[::-1])


def _keep(result: SearchResult, slider: Slider, vector: Floats) -> None:
    result.sliders.append(slider)
    result.vectors[slider.name] = vector


def _styles(drawer: Drawer, seed: str, count: int) -> Floats:
    length = drawer.card.network.latent
    return drawer.styles(latents.derive_all((f"{seed} {n}" for n in range(count)), length))


def _draw(drawer: Drawer, w: Floats) -> Pixels:
    return drawer.synthesise(np.repeat(w[:, None], drawer.rows, axis=1))


def _measure(drawer: Drawer, w: Floats, properties: Mapping[str, Property]) -> Values:
    starts = range(0, len(w), BATCH)
    parts = [_values(_draw(drawer, w[start : start + BATCH]) / 255, properties) for start in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in properties}


def _values(x: Doubles, properties: Mapping[str, Property] = PROPERTIES) -> Values:
    return {name: measure(x) for name, (_, measure) in properties.items()}


def _cosine(one: Floats, other: Floats) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-12))
