"""Pictures of more than a face: sheets, and cards for links."""

import math

from PIL import Image

from app.avatars.encode.still import Look, shaped
from models.bundle.generator import Pixels
from models.faces.resizing import resize

CARD = (1200, 628)  # what Open Graph's readers show uncut (1.91 : 1)
PORTRAIT = 440  # pixels of the face on a card


def sheet(pixels: Pixels, size: int, columns: int, gap: int, look: Look) -> Image.Image:
    """(N, S, S, 3) in rows of `columns`, `gap` pixels around and between them; RGB or RGBA."""
    step, rows = size + gap, math.ceil(len(pixels) / columns)
    box = (columns * step + gap, rows * step + gap)
    if look.backdrop is None:
        sheet = Image.new("RGBA", box)
    else:
        sheet = Image.new("RGB", box, f"#{look.backdrop}")
    for place, drawn in enumerate(pixels):
        row, column = divmod(place, columns)
        image = shaped(resize(drawn, size), look, alpha=look.backdrop is None)
        sheet.paste(image, (gap + column * step, gap + row * step))
    return sheet


def card(face: Pixels, shape: str) -> Image.Image:
    """(S, S, 3) before a soft ground of its own colours."""
    image = Image.fromarray(face)
    # The upper corners are ground in nearly every face; the lower ones are hair and neck.
    eighth = image.width // 8
    ends = [(left, 0, left + eighth, eighth) for left in (0, image.width - eighth)]
    colours = Image.new("RGB", (2, 1))
    for place, end in enumerate(ends):
        colours.paste(image.resize((1, 1), Image.Resampling.BOX, end), (place, 0))
    soft = colours.resize(CARD, Image.Resampling.BICUBIC)
    ground = Image.blend(soft, Image.new("RGB", CARD, "white"), 0.4)
    portrait = shaped(resize(face, PORTRAIT), Look(shape), alpha=True)
    corner = (CARD[0] - PORTRAIT) // 2, (CARD[1] - PORTRAIT) // 2
    ground.paste(portrait, corner, portrait if portrait.mode == "RGBA" else None)
    return ground
