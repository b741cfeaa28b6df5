"""Whose faces a picture shows: parameters to pixels.

Each function gives (N, S, S, 3) uint8, one face a frame or place. `docs/seeds.md` specifies what
they draw from which stream.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np

from app.avatars.request.parameters import Values
from app.errors import InvalidParameter
from models.bundle.generator import Drawer, Floats, Pixels
from models.errors import NoStyles
from models.faces import attributes, latents, sliders

EASES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "sine": lambda t: (1 - math.cos(math.pi * t)) / 2,
    "cubic": lambda t: t * t * (3 - 2 * t),
}
OWN = 0.2  # of a child that is neither parent's


def face(given: Values, drawer: Drawer) -> Pixels:
    """A seed's face, or the best of its variants, at an age."""
    z = _best(given, drawer) if given["best_of"] > 1 else _latent(given, drawer, given["variant"])
    if given["age"] is None:
        return _drawn(drawer, _chosen(drawer, z, given))
    return _aged(drawer, z, given, [given["age"]])


def grow(given: Values, drawer: Drawer) -> Pixels:
    """A seed's face from its model's first moment to its last and back."""
    ease = EASES[given["ease"]]
    z = _latent(given, drawer, 0)
    return _aged(drawer, z, given, [ease(way) for way in _there_and_back(given["frames"])])


def plain(given: Values, drawer: Drawer) -> bool:
    """Whether it is one seed's face as its latent gives it, which can be drawn with others."""
    steered = sliders.values_of(drawer.card.sliders, given)
    return given["best_of"] == 1 and given["age"] is None and not steered


def _latent(given: Values, drawer: Drawer, variant: int) -> Floats:
    return latents.derive(given["seed"], drawer.card.network.latent, variant)[None]


def _best(given: Values, drawer: Drawer) -> Floats:
    """z (1, latent) of the variant that the model's critic likes best."""
    variants = range(given["variant"], given["variant"] + given["best_of"])
    z = np.concatenate([_latent(given, drawer, variant) for variant in variants])
    best = int(np.argmax(drawer.score(_drawn(drawer, _chosen(drawer, z, given)))))
    return z[best : best + 1]


def _aged(drawer: Drawer, z: Floats, given: Values, ages: Sequence[float]) -> Pixels:
    if sliders.values_of(drawer.card.sliders, given):
        # An earlier w has directions of its own.
        raise InvalidParameter("age", "cannot be asked together with sliders", "one of the two")
    asked = attributes.select(z, drawer.card.attributes, given)
    return np.concatenate([drawer.grow(asked, given["psi"], age) for age in ages])


def faces(given: Values, drawer: Drawer) -> Pixels:
    """Several seeds' faces: those listed, or consecutive numbers."""
    numbers = range(given["start"], given["start"] + (given["count"] or 0))
    seeds = given["seeds"] or [str(number) for number in numbers]
    return _drawn(drawer, _styles(drawer, seeds, given))


def morph(given: Values, drawer: Drawer) -> Pixels:
    """From one face to another: at `t`, or there and back in `frames`."""
    a, b = _styles(drawer, [given["from"], given["to"]], given)
    if given["t"] is not None:
        return _drawn(drawer, drawer.between(a, b, given["t"])[None])
    ease, count = EASES[given["ease"]], given["frames"]
    ways = _there_and_back(count)
    return _drawn(drawer, np.stack([drawer.between(a, b, ease(way)) for way in ways]))


def walk(given: Values, drawer: Drawer) -> Pixels:
    """Through several faces of one seed and back to the first."""
    seed, stops, count = given["seed"], given["stops"], given["frames"]
    length, ease = drawer.card.network.latent, EASES[given["ease"]]
    z = [latents.derive(seed, length)]
    z += [latents.normals(seed, f"walk:{stop}", length) for stop in range(1, stops)]
    w = _chosen(drawer, np.stack(z), given)
    parts = [divmod(frame * stops / count, 1) for frame in range(count)]
    steps = [
        drawer.between(w[int(stop)], w[(int(stop) + 1) % stops], ease(way)) for stop, way in parts
    ]
    return _drawn(drawer, np.stack(steps))


def mix(given: Values, drawer: Drawer) -> Pixels:
    """The shapes of one face with the details of another (arXiv:1812.04948 §3.1)."""
    rows, at = drawer.rows, given["at"]
    if not drawer.card.network.layers:
        raise NoStyles("This model has no styles to mix; its faces can morph and blend.")
    at = (rows + 1) // 2 if at is None else at
    if at > rows:
        raise InvalidParameter("at", f"is {at}", f"for this model a whole number from 0 to {rows}")
    coarse, fine = _styles(drawer, [given["coarse"], given["fine"]], given)
    return drawer.synthesise(np.stack([coarse] * at + [fine] * (rows - at))[None])


def blend(given: Values, drawer: Drawer) -> Pixels:
    """A weighted mean of several faces."""
    seeds, weights = given["seeds"]
    w = _styles(drawer, seeds, given)
    shares = np.array(weights) / sum(weights)
    if not drawer.card.network.layers:
        # A mean of independent normals is shorter than they are; this one is as long.
        shares /= np.linalg.norm(shares)
    return _drawn(drawer, np.tensordot(shares.astype(np.float32), w, 1)[None])


def family(given: Values, drawer: Drawer) -> Pixels:
    """The children of two faces: each row of w somewhere between theirs, a part its own."""
    a, b = _styles(drawer, given["parents"], given)
    if given["child"] is not None:
        return drawer.synthesise(_child(given, drawer, a, b, given["child"])[None])
    children = [_child(given, drawer, a, b, child) for child in range(given["children"])]
    return drawer.synthesise(np.stack(children))


def _child(given: Values, drawer: Drawer, a: Floats, b: Floats, child: int) -> Floats:
    parents = given["parents"]
    hashes = [hashlib.sha256(latents.seed_bytes(parent)).hexdigest() for parent in parents]
    if hashes[1] < hashes[0]:  # the order of the parents means nothing
        hashes, a, b = hashes[::-1], b, a
    pair, key = ",".join(hashes), f"child:{child}"
    own = latents.normals(pair, f"{key}:own", drawer.card.network.latent)
    (own,) = _chosen(drawer, own[None], given)
    shares = islice(latents.uniform_stream(pair, key), drawer.rows)
    # Steeper than even, so that a child takes some rows wholly after one of them.
    steep = (min(max(1.6 * share - 0.3, 0.0), 1.0) for share in shares)
    inherited = [drawer.between(a, b, share) for share in steep]
    return np.stack([drawer.between(row, own, OWN) for row in inherited])


def _styles(drawer: Drawer, seeds: Sequence[str], given: Values) -> Floats:
    z = np.stack([latents.derive(seed, drawer.card.network.latent) for seed in seeds])
    return _chosen(drawer, z, given)


def _chosen(drawer: Drawer, z: Floats, given: Values) -> Floats:
    """z (N, latent) → w (N, style): with the traits that are asked for, truncated, steered."""
    asked = attributes.select(z, drawer.card.attributes, given)
    w = drawer.truncate(drawer.styles(asked), given["psi"])
    return drawer.steer(w, sliders.values_of(drawer.card.sliders, given))


def _drawn(drawer: Drawer, w: Floats) -> Pixels:
    """One style for all rows: w (N, style) → (N, S, S, 3)."""
    return drawer.synthesise(np.repeat(w[:, None], drawer.rows, axis=1))


def _there_and_back(count: int) -> list[float]:
    """How far each of `count` frames is: from 0 to 1 and back towards 0."""
    return [1 - abs(1 - 2 * frame / count) for frame in range(count)]
