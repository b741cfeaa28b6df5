"""A picture that is asked for, drawn by the engine's threads."""

from functools import partial

from app.avatars.generate import faces
from app.avatars.generate.engine import Engine
from app.avatars.request.picture_request import Asked
from app.avatars.request.picture_types import AVATAR, GROW, SHEET
from models.bundle.generator import Pixels
from models.faces import attributes, latents

AGED = 8  # faces that take as long as one with an age: its weights are mixed anew


def cost(asked: Asked) -> int:
    """How many faces are drawn for it."""
    given = asked.values
    if asked.kind is GROW:
        return AGED * int(given["frames"])
    seeds, best = given.get("seeds"), given.get("best_of") or 1
    frames = given.get("frames") if given.get("t") is None else 1
    children = given.get("children") if given.get("child") is None else 1
    listed = len(seeds) if asked.kind is SHEET and seeds else given.get("count")
    aged = 1 if given.get("age") is None else AGED
    return max(1, best, aged, frames or 1, children or 1, listed or 1)


async def understood(engine: Engine, version: str, asked: Asked) -> Asked:
    """With the traits that only the model knows. Raises InvalidParameter, BadBundle, Overloaded."""
    if not asked.unread:
        return asked
    return asked.of((await engine.drawer(version)).card)


async def drawn(engine: Engine, version: str, asked: Asked) -> bytes:
    """The file's bytes. Raises Overloaded, BadBundle, and what the picture itself refuses."""
    drawer, stamp = await engine.drawer(version), asked.stamp(version)
    given = asked.values
    if asked.kind is not AVATAR or not faces.plain(given, drawer):
        return await engine.run(partial(asked.kind.draw, given, drawer, stamp))

    def finish(pixels: Pixels) -> bytes:
        return AVATAR.complete(pixels[None], given, drawer, stamp)

    # One plain face, the common case, is drawn together with others that wait.
    z = latents.derive(given["seed"], drawer.card.network.latent, given["variant"])[None]
    (z,) = attributes.select(z, drawer.card.attributes, given)
    return await engine.draw(drawer, z, given["psi"], finish)
