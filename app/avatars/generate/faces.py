"""Draws the faces of a picture request: parameters to pixels, one function per picture type.

Each function returns (N, S, S, 3) uint8, one face per frame or place; `docs/seeds.md` specifies
the latents that it derives.
"""

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from app.avatars import interruption
from app.avatars.formats import JSON
from app.avatars.request import picture_types
from app.avatars.request.easing import EASES
from app.avatars.request.parameters import LARGEST, Values
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import PictureType
from app.errors import InvalidParameter
from models.bundle.generator import Drawer, Floats, Pixels
from models.errors import NoStyles
from models.faces import attributes, latents, sliders

OWN_SHARE = 0.2  # the part of a child's style that comes from neither parent


@dataclass(frozen=True)
class FaceOptions:
    """How the network draws latents of faces; latents with equal options can share one run of it.

    sliders: (name, value) of those that are not 0.
    """

    psi: float
    age: float | None
    sliders: tuple[tuple[str, float], ...]

    @classmethod
    def parse(cls, values: Values, drawer: Drawer) -> "FaceOptions":
        """The options of a request for one face. Raises InvalidParameter for age with sliders."""
        active = sliders.values_of(drawer.card.sliders, values)
        if values["age"] is not None and active:
            _refuse_sliders()
        return cls(values["psi"], values["age"], tuple(active.items()))


def batch_key(request: PictureRequest, drawer: Drawer) -> Hashable | None:
    """Requests with equal keys can be drawn as one batch; None: this one is drawn alone.

    Raises InvalidParameter.
    """
    if DRAW_FUNCTIONS[request.picture_type] is not draw_face:
        return None
    # Candidates of `best_of` take many times as long, so that other faces do not wait for them.
    return FaceOptions.parse(request.values, drawer), request.values["best_of"]


def draw(requests: Sequence[PictureRequest], drawer: Drawer) -> list[Pixels]:
    """Draw one request of any picture type, or several with equal batch keys.

    The requests are resolved (`app/avatars/traits.py`). Returns (N, S, S, 3) for each, enlarged
    where its size needs that. Raises what the picture type refuses.
    """
    if len(requests) == 1:
        request = requests[0]
        pictures = [DRAW_FUNCTIONS[request.picture_type](request.values, drawer)]
    else:
        faces = _draw_batch([request.values for request in requests], drawer)
        pictures = list(faces[:, None])
    return [
        enlarge(pixels, request, drawer) for pixels, request in zip(pictures, requests, strict=True)
    ]


def enlarge(pixels: Pixels, request: PictureRequest, drawer: Drawer) -> Pixels:
    """Faces (N, S, S, 3) through the model's enlarger, where the request needs more pixels."""
    if request.format == JSON:  # described at the network's resolution
        return pixels
    # An SVG has no size in pixels, so it is traced from the largest face there is.
    size = LARGEST if request.format == "svg" else request.face_size
    return drawer.enlarge(pixels, size)


def draw_face(values: Values, drawer: Drawer) -> Pixels:
    """One seed's face, or the best of its variants, at an age."""
    return _draw_batch([values], drawer)


def traits_of(values: Values, drawer: Drawer) -> dict[str, str | float]:
    """The traits of a seed's face: each attribute's value, and the sliders that are not 0.

    Draws the candidates of `best_of` again, where a model chose among them.
    """
    card = drawer.card
    if not card.traits:
        return dict(sliders.values_of(card.sliders, values))
    z = _derive_face(values, drawer, FaceOptions.parse(values, drawer))[0]
    elements = zip(card.attributes, z[len(z) - len(card.attributes) :], strict=True)
    return {
        **{
            attribute.name: attribute.value_of(element)
            for attribute, element in elements
            if not attribute.hidden
        },
        **sliders.values_of(card.sliders, values),
    }


def _draw_batch(batch: Sequence[Values], drawer: Drawer) -> Pixels:
    """A face for each of several values with equal options: (N, S, S, 3)."""
    options = FaceOptions.parse(batch[0], drawer)
    z = np.concatenate([_derive_face(values, drawer, options) for values in batch])
    return _draw_latents(z, drawer, options)


def _derive_face(values: Values, drawer: Drawer, options: FaceOptions) -> Floats:
    """z (1, latent) of a seed's face with its attributes; of the best variant among `best_of`."""
    count, length = values["best_of"], drawer.card.network.latent
    variants = range(values["variant"], values["variant"] + count)
    seeds = [latents.derive(values["seed"], length, variant) for variant in variants]
    z = attributes.select(np.stack(seeds), drawer.card.attributes, values)
    if count == 1:
        return z
    # The final model chooses at every age, so that the face of an age is the same person.
    scores = drawer.score(_draw_latents(z, drawer, replace(options, age=None)))
    best = int(np.argmax(scores))
    return z[best : best + 1]


def _draw_latents(z: Floats, drawer: Drawer, options: FaceOptions) -> Pixels:
    """z (N, latent) → (N, S, S, 3)."""
    if options.age is not None:
        return _draw_aged(z, drawer, options.psi, [options.age])
    w = drawer.truncate(drawer.styles(z), options.psi, z)
    return _draw_styles(drawer.steer(w, dict(options.sliders)), drawer)


def _draw_aged(z: Floats, drawer: Drawer, psi: float, ages: Sequence[float]) -> Pixels:
    """z (N, latent) → (N · ages, S, S, 3). Raises NoTrainingHistory."""
    frames = []
    for row in z:
        for age in ages:
            interruption.check()
            frames.append(drawer.grow(row[None], psi, age))
    return np.concatenate(frames)


def _refuse_sliders() -> None:
    # The w of an earlier checkpoint has other directions.
    raise InvalidParameter("age", "cannot be combined with sliders", "one of the two")


def draw_growth(values: Values, drawer: Drawer) -> Pixels:
    """A seed's face from its model's first checkpoint to the final model and back."""
    if sliders.values_of(drawer.card.sliders, values):
        _refuse_sliders()
    ease = EASES[values["ease"]]
    z = latents.derive(values["seed"], drawer.card.network.latent)[None]
    z = attributes.select(z, drawer.card.attributes, values)
    ages = [ease(position) for position in _there_and_back(values["frames"])]
    return _draw_aged(z, drawer, values["psi"], ages)


def draw_sheet(values: Values, drawer: Drawer) -> Pixels:
    """The faces of several seeds: the given ones, or consecutive numbers."""
    numbers = range(values["start"], values["start"] + (values["count"] or 0))
    seeds = values["seeds"] or [str(number) for number in numbers]
    return _draw_styles(_styles_of_seeds(seeds, drawer, values), drawer)


def draw_morph(values: Values, drawer: Drawer) -> Pixels:
    """From one face to another: at `t`, or there and back in `frames`."""
    a, b = _styles_of_seeds([values["from"], values["to"]], drawer, values)
    if values["t"] is not None:
        return _draw_styles(drawer.between(a, b, values["t"])[None], drawer)
    ease = EASES[values["ease"]]
    positions = _there_and_back(values["frames"])
    w = np.stack([drawer.between(a, b, ease(position)) for position in positions])
    return _draw_styles(w, drawer)


def draw_walk(values: Values, drawer: Drawer) -> Pixels:
    """Through several faces of one seed and back to the first."""
    seed, stops, count = values["seed"], values["stops"], values["frames"]
    length, ease = drawer.card.network.latent, EASES[values["ease"]]
    z = [latents.derive(seed, length)]
    z += [latents.normals(seed, f"walk:{stop}", length) for stop in range(1, stops)]
    w = _styles_of_latents(np.stack(z), drawer, values)
    steps = []
    for frame in range(count):
        stop, position = divmod(frame * stops / count, 1)
        start, end = w[int(stop)], w[(int(stop) + 1) % stops]
        steps.append(drawer.between(start, end, ease(position)))
    return _draw_styles(np.stack(steps), drawer)


def draw_mix(values: Values, drawer: Drawer) -> Pixels:
    """The shapes of one face with the details of another (arXiv:1812.04948 §3.1).

    Raises NoStyles, and InvalidParameter for rows that the model lacks.
    """
    rows, at = drawer.rows, values["at"]
    if not drawer.card.network.layers:
        raise NoStyles("This model has no styles to mix; its faces can morph and blend.")
    at = (rows + 1) // 2 if at is None else at
    if at > rows:
        domain = f"for this model a whole number from 0 to {rows}"
        raise InvalidParameter("at", f"is {at}", domain)
    coarse, fine = _styles_of_seeds([values["coarse"], values["fine"]], drawer, values)
    return drawer.synthesise(np.stack([coarse] * at + [fine] * (rows - at))[None])


def draw_blend(values: Values, drawer: Drawer) -> Pixels:
    """A weighted mean of several faces."""
    seeds, weights = values["seeds"]
    w = _styles_of_seeds(seeds, drawer, values)
    shares = np.array(weights) / sum(weights)
    if not drawer.card.network.layers:
        # A mean of independent normals is shorter than they are; this scales it to their length.
        shares /= np.linalg.norm(shares)
    return _draw_styles(np.tensordot(shares.astype(np.float32), w, 1)[None], drawer)


def draw_family(values: Values, drawer: Drawer) -> Pixels:
    """The children of two faces: each row of w lies between the parents', a part is its own."""
    parents = _styles_of_seeds(values["parents"], drawer, values)
    child = values["child"]
    numbers = range(values["children"]) if child is None else [child]
    return drawer.synthesise(
        np.stack([_style_of_child(values, drawer, parents, number) for number in numbers])
    )


def _style_of_child(values: Values, drawer: Drawer, parents: Floats, number: int) -> Floats:
    """w (rows, style) of one child; parents: w (2, style)."""
    a, b = parents
    hashes = [hashlib.sha256(latents.seed_bytes(seed)).hexdigest() for seed in values["parents"]]
    if hashes[1] < hashes[0]:  # the order of the parents does not matter
        hashes, a, b = hashes[::-1], b, a
    pair, key = ",".join(hashes), f"child:{number}"
    own = latents.normals(pair, f"{key}:own", drawer.card.network.latent)
    (own,) = _styles_of_latents(own[None], drawer, values)
    shares = islice(latents.uniform_stream(pair, key), drawer.rows)
    # Steeper than uniform, so that a child takes some rows entirely from one parent.
    steep = (min(max(1.6 * share - 0.3, 0.0), 1.0) for share in shares)
    rows = [drawer.between(a, b, share) for share in steep]
    return np.stack([drawer.between(row, own, OWN_SHARE) for row in rows])


def _styles_of_seeds(seeds: Sequence[str], drawer: Drawer, values: Values) -> Floats:
    z = np.stack([latents.derive(seed, drawer.card.network.latent) for seed in seeds])
    return _styles_of_latents(z, drawer, values)


def _styles_of_latents(z: Floats, drawer: Drawer, values: Values) -> Floats:
    """z (N, latent) → w (N, style) with the request's attributes, truncation and sliders."""
    z = attributes.select(z, drawer.card.attributes, values)
    w = drawer.styles(z)
    active = sliders.values_of(drawer.card.sliders, values)
    return drawer.steer(drawer.truncate(w, values["psi"], z), active)


def _draw_styles(w: Floats, drawer: Drawer) -> Pixels:
    """The same style in all rows: w (N, style) → (N, S, S, 3)."""
    return drawer.synthesise(np.repeat(w[:, None], drawer.rows, axis=1))


def _there_and_back(count: int) -> list[float]:
    """The position of each of `count` frames: from 0 to 1 and back towards 0."""
    return [1 - abs(1 - 2 * frame / count) for frame in range(count)]


DRAW_FUNCTIONS: Mapping[PictureType, Callable[[Values, Drawer], Pixels]] = {
    picture_types.AVATAR: draw_face,
    picture_types.MORPH: draw_morph,
    picture_types.WALK: draw_walk,
    picture_types.GROW: draw_growth,
    picture_types.MIX: draw_mix,
    picture_types.BLEND: draw_blend,
    picture_types.FAMILY: draw_family,
    picture_types.SHEET: draw_sheet,
    picture_types.OG: draw_face,
}
