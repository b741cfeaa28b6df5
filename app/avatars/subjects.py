"""Whose faces a picture shows: parameters to styles.

Each function gives (N, rows, style) float32 for `Drawer.synthesise`, one face a frame or place.
`docs/seeds.md` specifies what they draw from which stream.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np

from app.avatars.parameters import Values
from app.errors import InvalidParameter
from models import conditions, latents
from models.bundle import Drawer, Floats
from models.errors import Unmixable

EASES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "sine": lambda t: (1 - math.cos(math.pi * t)) / 2,
    "cubic": lambda t: t * t * (3 - 2 * t),
}
OWN = 0.2  # of a child that is neither parent's


def face(given: Values, drawer: Drawer) -> Floats:
    """A seed's face, or the best of its variants."""
    length, first = drawer.card.network.latent, given["variant"]
    variants = range(first, first + given["best_of"])
    z = np.stack([latents.derive(given["seed"], length, variant) for variant in variants])
    w = _whole(drawer, _chosen(drawer, z, given))
    if len(w) == 1:
        return w
    best = int(np.argmax(drawer.score(drawer.synthesise(w))))
    return w[best : best + 1]


def faces(given: Values, drawer: Drawer) -> Floats:
    """Several seeds' faces: those listed, or consecutive numbers."""
    numbers = range(given["start"], given["start"] + (given["count"] or 0))
    seeds = given["seeds"] or [str(number) for number in numbers]
    return _whole(drawer, _styles(drawer, seeds, given))


def morph(given: Values, drawer: Drawer) -> Floats:
    """From one face to another: at `t`, or there and back in `frames`."""
    a, b = _styles(drawer, [given["from"], given["to"]], given)
    if given["t"] is not None:
        return _whole(drawer, drawer.between(a, b, given["t"])[None])
    ease, count = EASES[given["ease"]], given["frames"]
    ways = [1 - abs(1 - 2 * frame / count) for frame in range(count)]
    return _whole(drawer, np.stack([drawer.between(a, b, ease(way)) for way in ways]))


def walk(given: Values, drawer: Drawer) -> Floats:
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
    return _whole(drawer, np.stack(steps))


def mix(given: Values, drawer: Drawer) -> Floats:
    """The shapes of one face with the details of another (arXiv:1812.04948 §3.1)."""
    rows, at = drawer.rows, given["at"]
    if not drawer.card.network.layers:
        raise Unmixable("This model has no styles to mix; its faces can morph and blend.")
    at = (rows + 1) // 2 if at is None else at
    if at > rows:
        raise InvalidParameter("at", f"is {at}", f"for this model a whole number from 0 to {rows}")
    coarse, fine = _styles(drawer, [given["coarse"], given["fine"]], given)
    return np.stack([coarse] * at + [fine] * (rows - at))[None]


def blend(given: Values, drawer: Drawer) -> Floats:
    """A weighted mean of several faces."""
    seeds, weights = given["seeds"]
    w = _styles(drawer, seeds, given)
    shares = np.array(weights) / sum(weights)
    if not drawer.card.network.layers:
        # A mean of independent normals is shorter than they are; this one is as long.
        shares /= np.linalg.norm(shares)
    return _whole(drawer, np.tensordot(shares.astype(np.float32), w, 1)[None])


def family(given: Values, drawer: Drawer) -> Floats:
    """The children of two faces: each row of w somewhere between theirs, a part its own."""
    a, b = _styles(drawer, given["parents"], given)
    if given["child"] is not None:
        return _child(given, drawer, a, b, given["child"])[None]
    children = [_child(given, drawer, a, b, child) for child in range(given["children"])]
    return np.stack(children)


def _child(given: Values, drawer: Drawer, a: Floats, b: Floats, child: int) -> Floats:
    parents = given["parents"]
    hashes = [hashlib.sha256(latents.checked(parent)).hexdigest() for parent in parents]
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
    """z (N, latent) → w (N, style), with the traits that are asked for and truncated."""
    asked = conditions.ask(z, drawer.card.attributes, given)
    return drawer.truncate(drawer.styles(asked), given["psi"])


def _whole(drawer: Drawer, w: Floats) -> Floats:
    """One style for all rows: (N, style) → (N, rows, style)."""
    return np.repeat(w[:, None], drawer.rows, axis=1)
