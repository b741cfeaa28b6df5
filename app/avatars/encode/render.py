"""How faces become a file: alone, in motion, in rows, on a card; and what sizes that allows."""

import math

from app.avatars.encode import animation, layout
from app.avatars.encode import still as imaging
from app.avatars.encode.provenance import Stamp
from app.avatars.encode.still import Look
from app.avatars.request import parameters, value_types
from app.avatars.request.parameters import Values
from app.errors import InvalidParameter
from models.bundle.generator import Pixels

LARGEST_MOVING = 512  # pixels along a side; a loop costs as much as 64 stills
LARGEST_SHEET = 4096


def look(given: Values) -> Look:
    """Shape and backdrop."""
    backdrop = given["backdrop"]
    return Look(given["shape"], None if backdrop == value_types.TRANSPARENT else backdrop)


def still(pixels: Pixels, given: Values, stamp: Stamp) -> bytes:
    """One face in any format."""
    side = parameters.pixels(given)
    return imaging.encode(pixels[0], side, given["format"], look(given), stamp)


def moving(pixels: Pixels, given: Values, stamp: Stamp) -> bytes:
    """A loop, or a still where there is one frame."""
    if len(pixels) == 1:
        return still(pixels, given, stamp)
    side, style = parameters.pixels(given, LARGEST_MOVING), look(given)
    return animation.encode(pixels, side, given["format"], given["fps"], style, stamp)


def sheet(pixels: Pixels, given: Values, stamp: Stamp) -> bytes:
    """Faces in rows; one alone is a still."""
    if given.get("child") is not None:
        return still(pixels, given, stamp)
    side, style = parameters.pixels(given), look(given)
    if given["format"] == "jpeg" and style.backdrop is None:
        style = Look(style.shape, imaging.WHITE)
    image = layout.sheet(pixels, side, _columns(given), given["gap"], style)
    return imaging.write(image, given["format"], stamp)


def card(pixels: Pixels, given: Values, stamp: Stamp) -> bytes:
    """A card for links."""
    return imaging.write(layout.card(pixels[0], given["shape"]), given["format"], stamp)


def check_morph(given: Values) -> None:
    if given["t"] is None:
        parameters.pixels(given, LARGEST_MOVING)
    else:
        parameters.pixels(given)


def check_sheet(given: Values) -> None:
    if (given["seeds"] is None) == (given["count"] is None):
        allowed = "either seeds, or count with start"
        raise InvalidParameter("seeds", "and count exclude each other, and one is needed", allowed)
    check_size(given)


def check_size(given: Values) -> None:
    side, gap, columns = parameters.pixels(given), given["gap"], _columns(given)
    largest = max(columns, math.ceil(_count(given) / columns)) * (side + gap) + gap
    if largest > LARGEST_SHEET:
        allowed = f"what makes a sheet of at most {LARGEST_SHEET} pixels a side"
        raise InvalidParameter("size", f"makes {largest} pixels", allowed)


def check_family(given: Values) -> None:
    if given["child"] is None:
        check_size(given)
    else:
        parameters.pixels(given)


def _count(given: Values) -> int:
    listed = given.get("seeds") or ()
    return len(listed) or given.get("count") or given.get("children") or 1


def _columns(given: Values) -> int:
    columns: int = given["columns"] or math.ceil(math.sqrt(_count(given)))
    return columns
