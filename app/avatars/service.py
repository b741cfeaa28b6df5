"""Renders a picture request: traits, pixels, bytes."""

from collections.abc import Hashable
from functools import partial

from app.avatars import traits
from app.avatars.encode import picture
from app.avatars.encode.provenance import Stamp
from app.avatars.generate import faces
from app.avatars.generate.engine import Engine
from app.avatars.request.picture_request import PictureRequest
from models.bundle.generator import Drawer, Pixels


async def resolve(engine: Engine, version: str, request: PictureRequest) -> PictureRequest:
    """The request with its traits parsed and its psi filled in.

    Raises InvalidParameter, BadBundle, Overloaded.
    """
    return traits.resolve(request, await engine.card(version))


async def render(
    engine: Engine, version: str, request: PictureRequest, client: Hashable = None
) -> bytes:
    """The picture's bytes. client: whose turn at the drawing threads it takes.

    Raises Overloaded, TooLargeToDraw, BadBundle, and what the picture type refuses.
    """
    drawer = await engine.drawer(version)
    encode_request = partial(encode, request=request, version=version)
    return await engine.draw(drawer, request, encode_request, client)


def render_alone(drawer: Drawer, version: str, request: PictureRequest) -> bytes:
    """The same bytes without an engine. Raises what the picture type refuses."""
    (pixels,) = faces.draw([request], drawer)
    return encode(pixels, request, version)


def encode(pixels: Pixels, request: PictureRequest, version: str) -> bytes:
    """(N, S, S, 3) to the picture's bytes, with the model and address as metadata."""
    return picture.encode(pixels, request, Stamp(version, request.address(version)))
