"""Encodes the faces of a request as one file: a still, a loop, a sheet or a card."""

from dataclasses import replace

from app.avatars.encode import animation, description, layout, still
from app.avatars.encode.provenance import Stamp
from app.avatars.encode.still import RENDERER, WHITE, Look
from app.avatars.formats import FORMATS, JSON
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import count_columns
from models.bundle.generator import Pixels

# Increment it whenever equal models and parameters give other bytes in a loop of GIF.
GIF_LOOP_RENDERER = 5
UNPINNED_OFFSET = 100  # added where an alias names the model


def renderer(request: PictureRequest, is_pinned: bool) -> int:
    """The number of the encoding in a request's ETag.

    is_pinned: by a full version; of older models, such pictures have fewer words in their files.
    """
    is_loop = request.picture_type.layout == "loop" and not request.is_single
    number = GIF_LOOP_RENDERER if is_loop and request.format == "gif" else RENDERER
    return number if is_pinned else number + UNPINNED_OFFSET


def encode(pixels: Pixels, request: PictureRequest, stamp: Stamp) -> bytes:
    """(N, S, S, 3) uint8 to the bytes of a file."""
    function = _encode_face if request.is_single else ENCODERS[request.picture_type.layout]
    return function(pixels, request, stamp)


def _encode_face(pixels: Pixels, request: PictureRequest, stamp: Stamp) -> bytes:
    if request.format == JSON:
        return description.encode(pixels[0], request.seed, stamp)
    look = Look.parse(request.values)
    return still.encode(pixels[0], request.face_size, request.format, look, stamp)


def _encode_loop(pixels: Pixels, request: PictureRequest, stamp: Stamp) -> bytes:
    look, fps = Look.parse(request.values), request.values["fps"]
    return animation.encode(pixels, request.face_size, request.format, fps, look, stamp)


def _encode_sheet(pixels: Pixels, request: PictureRequest, stamp: Stamp) -> bytes:
    look = Look.parse(request.values)
    if look.backdrop is None and not FORMATS[request.format].has_alpha:
        look = replace(look, backdrop=WHITE)
    columns, gap = count_columns(request.values, len(pixels)), request.values["gap"]
    image = layout.sheet(pixels, request.face_size, columns, gap, look)
    return still.write(image, request.format, stamp)


def _encode_card(pixels: Pixels, request: PictureRequest, stamp: Stamp) -> bytes:
    image = layout.card(pixels[0], request.face_size, Look.parse(request.values))
    return still.write(image, request.format, stamp)


ENCODERS = {
    "face": _encode_face,
    "loop": _encode_loop,
    "sheet": _encode_sheet,
    "card": _encode_card,
}
