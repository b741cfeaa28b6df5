"""Renders a picture request: traits, pixels, bytes."""

from collections.abc import Hashable
from functools import partial

from app.avatars import traits
from app.avatars.encode import alt_text, picture
from app.avatars.encode.provenance import Stamp, Words
from app.avatars.formats import JSON
from app.avatars.generate import faces
from app.avatars.generate.engine import Engine
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR, OG
from models.bundle.generator import Drawer, Pixels
from models.errors import BadBundle


async def resolve(engine: Engine, version: str, request: PictureRequest) -> PictureRequest:
    """The request as `traits.resolve` completes it, for a version.

    Raises InvalidParameter, BadBundle, Overloaded.
    """
    return traits.resolve(request, await engine.card(version))


async def render(
    engine: Engine, version: str, request: PictureRequest, client: Hashable = None
) -> bytes:
    """The picture's bytes. client: whose turn at the drawing threads it takes.

    Raises Overloaded, TooLargeToDraw, BadBundle, and what the picture type refuses.
    """
    try:
        return await _render(engine, await engine.drawer(version), version, request, client)
    except BadBundle:  # a file that few requests need was damaged, or evicted from a disk cache
        return await _render(engine, await engine.reload(version), version, request, client)


async def _render(
    engine: Engine, drawer: Drawer, version: str, request: PictureRequest, client: Hashable
) -> bytes:
    work = partial(encode, request=request, version=version, drawer=drawer)
    return await engine.draw(drawer, request, work, client)


def render_alone(drawer: Drawer, version: str, request: PictureRequest) -> bytes:
    """The same bytes without an engine. Raises what the picture type refuses."""
    (pixels,) = faces.draw([request], drawer)
    return encode(pixels, request, version, drawer)


def encode(pixels: Pixels, request: PictureRequest, version: str, drawer: Drawer) -> bytes:
    """(N, S, S, 3) to the picture's bytes, with model, address and words as metadata."""
    is_described = request.format == JSON
    # A description names the address of the picture, in the format that every client can show.
    target = request.with_values(format="png") if is_described else request
    # Pictures of older models keep their bytes where a full version pins them.
    is_pinned = request.model == version and drawer.card.provenance < 2
    words = None if is_pinned and not is_described else describe(request, drawer)
    return picture.encode(pixels, request, Stamp(version, target.address(version), words))


def describe(request: PictureRequest, drawer: Drawer) -> Words:
    """The words of a picture; for one face, they come from its traits."""
    credit = drawer.card.dataset
    if request.picture_type not in (AVATAR, OG):
        alt = alt_text.describe_picture(request.picture_type.name)
        return Words(alt, {}, credit.licence, credit.credit)
    face_traits = faces.traits_of(request.values, drawer)
    alt = alt_text.describe_face(traits.legible_traits(face_traits, request.values, drawer.card))
    return Words(alt, face_traits, credit.licence, credit.credit)
