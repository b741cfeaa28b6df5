"""Arranges faces on a sheet or on a card for links."""

import math

from PIL import Image

from app.avatars import interruption
from app.avatars.encode.still import Look, cut
from app.avatars.request.picture_types import CARD
from models.bundle.generator import Pixels
from models.faces.resizing import resize


def sheet(pixels: Pixels, size: int, columns: int, gap: int, look: Look) -> Image.Image:
    """(N, S, S, 3) in rows of `columns`, with `gap` pixels around and between them; RGB or RGBA.

    size: the side of each face in pixels.
    """
    step, rows = size + gap, math.ceil(len(pixels) / columns)
    box = (columns * step + gap, rows * step + gap)
    if look.backdrop is None:
        sheet = Image.new("RGBA", box)
    else:
        sheet = Image.new("RGB", box, f"#{look.backdrop}")
    for place, face in enumerate(pixels):
        interruption.check()
        row, column = divmod(place, columns)
        image = cut(resize(face, size), look, has_alpha=look.backdrop is None)
        sheet.paste(image, (gap + column * step, gap + row * step))
    return sheet


def card(face: Pixels, size: int, look: Look) -> Image.Image:
    """(S, S, 3), resized to `size`, on a soft background of its own colours."""
    image = Image.fromarray(face)
    # Nearly every face has background in its upper corners, hair and neck in the lower ones.
    eighth = image.width // 8
    ends = [(left, 0, left + eighth, eighth) for left in (0, image.width - eighth)]
    colours = Image.new("RGB", (2, 1))
    for place, end in enumerate(ends):
        colours.paste(image.resize((1, 1), Image.Resampling.BOX, end), (place, 0))
    soft = colours.resize(CARD, Image.Resampling.BICUBIC)
    background = Image.blend(soft, Image.new("RGB", CARD, "white"), 0.4)
    portrait = cut(resize(face, size), look, has_alpha=True)
    corner = (CARD[0] - size) // 2, (CARD[1] - size) // 2
    background.paste(portrait, corner, portrait if portrait.mode == "RGBA" else None)
    return background
