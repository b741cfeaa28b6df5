"""Encodes a face as JSON: its traits, alternative text, colours and BlurHash."""

import json

import blurhash
import numpy as np
from PIL import Image

from app.avatars.encode.provenance import Stamp
from models.bundle.generator import Pixels
from models.faces.resizing import resize

COLOURS = 5
MINIATURE = 16  # pixels along a side that BlurHash reads; its components are 4 × 4


def encode(pixels: Pixels, seed: str | None, stamp: Stamp) -> bytes:
    """(S, S, 3) uint8 to a JSON object in UTF-8; `docs/api.md` describes its members."""
    assert stamp.words is not None
    fields = {
        "seed": seed,
        "version": stamp.model,
        "address": stamp.address,
        "traits": dict(stamp.words.traits),
        "alt": dict(stamp.words.alt),
        "colours": dominant_colours(pixels),
        "blurhash": blur_hash(pixels),
        "licence": stamp.words.licence,
        "credit": stamp.words.credit,
    }
    return json.dumps(fields, ensure_ascii=False).encode()


def dominant_colours(pixels: Pixels) -> list[str]:
    """(S, S, 3) to at most COLOURS colours as `#rrggbb`, the one with the largest area first."""
    image = Image.fromarray(pixels).quantize(COLOURS, Image.Quantize.MEDIANCUT, kmeans=1)
    palette, areas = image.getpalette() or [], image.histogram()
    indices = sorted(range(len(areas)), key=lambda index: -areas[index])
    return ["#" + bytes(palette[3 * i : 3 * i + 3]).hex() for i in indices if areas[i]]


def blur_hash(pixels: Pixels) -> str:
    """(S, S, 3) to a BlurHash of 4 × 4 components (github.com/woltapp/blurhash)."""
    miniature = np.asarray(resize(pixels, MINIATURE))
    text: str = blurhash.encode(miniature.tolist(), 4, 4)
    return text
