"""The starter dataset: recoloured Lorelei faces that come with their true attributes.

Image `i` depends on `i` and the edition alone. Every choice is ours and reaches DiceBear by name,
so that a label says what was drawn. A change that moves a pixel needs a new edition.

Source of the drawings: Lorelei by Lisa Wischofsky, CC0 1.0, as packaged by DiceBear. Eyes and
mouths are enlarged, so that they still read at 64 px.
"""

import copy
import functools
import hashlib
import io
import json
import math
import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib.resources import files
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import resvg_py
from dicebear import Avatar, Style
from numpy.typing import NDArray
from PIL import Image

from models import cores

LICENCE = "CC0-1.0"
CREDIT = "Lorelei by Lisa Wischofsky, CC0 1.0, via DiceBear"
LARGEST_SIZE = 1024
CHUNK = 64  # images a work item: the progress moves every second or so, pickling costs nothing

Progress = Callable[[int, int], None]
Images = NDArray[np.uint8]


class Edition(NamedTuple):
    """One version of the set. pictures: by default.

    independent: every attribute is chosen without regard to the others, and hair and skin get a
    contour where they would melt into what is beside them; reduced by area, without ringing.
    Otherwise the attributes depend on each other and Lanczos reduces.
    """

    version: str
    pictures: int
    independent: bool


FIRST = Edition("kao-starter-1", 20_000, independent=False)
SECOND = Edition("kao-starter-2", 50_000, independent=True)
# The names by which a recipe asks for them. Old cards name `starter` and a fingerprint of FIRST.
EDITIONS = {"starter": SECOND, "starter-1": FIRST}


class Skin(NamedTuple):
    """One skin tone with the line colours that read on it, all as RRGGBB."""

    fill: str
    outline: str
    nose: str
    mouth: str
    weight: float


class Eyes(NamedTuple):
    """An eye colour: lash and iris, and the brighter iris for deep skin, all as RRGGBB."""

    lash: str
    iris: str
    bright: str


# Deep skin swallows dark lines at 64 px: there the lines are browns only a step away.
SKINS = {
    "porcelain": Skin("fff1e8", "3b2b3c", "d9a08e", "c4354a", 22),
    "fair": Skin("ffe2d1", "3b2b3c", "cf9079", "bf3045", 24),
    "peach": Skin("fbd0b4", "3d2a35", "c07f62", "b52b3f", 20),
    "tan": Skin("e8b48c", "432a2c", "a8714f", "a32638", 14),
    "bronze": Skin("c98e63", "4a2b22", "8c5a39", "8a1c2c", 10),
    "brown": Skin("a66d47", "52301f", "6f442b", "6f1724", 6),
    "umber": Skin("8a5738", "4a2a1c", "55321f", "f09a8c", 4),
}
EYE_COLOURS = {
    "blue": Eyes("1c2a6e", "3f97f2", "7cc4ff"),
    "green": Eyes("143f34", "2fb673", "6be6a4"),
    "amber": Eyes("4f2408", "ee9a1c", "ffc75a"),
    "red": Eyes("561022", "e6425a", "ff7d8c"),
    "purple": Eyes("321a66", "9560ec", "c3a0ff"),
    "brown": Eyes("2c1712", "8f5531", "d99a66"),
    "teal": Eyes("0d3c4a", "1fb4bf", "6fe8ea"),
}
HAIR_COLOURS = {
    "pink": "f0629a", "rose": "f99dbb", "red": "d5324a", "orange": "f27b37", "blond": "f6d563",
    "honey": "dca23d", "green": "55b44d", "teal": "2eb5a1", "sky": "5fbfee", "blue": "3b74e0",
    "navy": "26376f", "purple": "6d4bc4", "lavender": "b08fe2", "silver": "aebccf",
    "white": "f4f2f5", "brown": "7b4a30", "black": "2c2536",
}  # fmt: skip
BACKGROUNDS = {
    "rosy": "fbc7d4", "apricot": "ffd9b0", "lemon": "fff0a8", "mint": "bfeed4",
    "sky": "b4e2f5", "periwinkle": "c0ccfb", "lilac": "dcc4f7", "sage": "9ccfbc",
}  # fmt: skip
MIN_CONTRAST = 62  # Euclidean distance in 8-bit RGB: nearer, hair melts into the background
MIN_CONTRAST_TO_SKIN = 70
CONTOUR, SHADE = 9.0, 0.55  # its width beyond the fill, of 980; its brightness, of the fill's
DRAWN_SIZE = 192  # pixels at least before a picture is reduced by area
SUNGLASSES, BEARD_WEIGHT, HAIR_OVER_EYES = "shades", 0.5, 0.35

# Lorelei numbers its hairs; these groups make labels that people can ask for.
HAIR_LENGTHS = {
    "short": (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 20, 22, 39, 43, 44, 47),
    "medium": (10, 13, 17, 18, 19, 23, 42),
    "long": (15, 16, 21, 24, 32, 35, 40, 41),
    "tied": (14, 26, 29, 30, 31, 33, 36, 37, 38, 45, 46, 48),
    "shaved": (25, 27, 28, 34),
}
OVER_EYES = {"variant21", "variant40", "variant41", "variant45"}
GLASSES = {"round": "01", SUNGLASSES: "02", "oval": "03", "square": "04", "half": "05"}
CLOSED_EYES = {"variant01", "variant03", "variant15", "variant18", "variant19", "variant22"}
TINY_EYES = {"variant05", "variant12", "variant13", "variant16"}


def _length_weights() -> dict[str, float]:
    """Weigh each hair by its group: a plain draw would be mostly short hair."""
    share = {"short": 30.0, "medium": 20.0, "long": 22.0, "tied": 26.0, "shaved": 2.0}
    weights = {}
    for length, numbers in HAIR_LENGTHS.items():
        for number in numbers:
            name = f"variant{number:02}"
            weight = share[length] / len(numbers)
            weights[name] = weight * (HAIR_OVER_EYES if name in OVER_EYES else 1)
    return weights


HAIRS = _length_weights()
LENGTH_OF = {f"variant{n:02}": name for name, ns in HAIR_LENGTHS.items() for n in ns}
EYES = {
    name: 0.4 if name in CLOSED_EYES | TINY_EYES else 1.0
    for name in (f"variant{n:02}" for n in range(1, 25))
}
# The flat, toothy and dribbling mouths turn to noise at 64 px: fewer of those.
NOISY_MOUTHS = {"happy07", "happy12", "happy16", "sad06", "sad07"}
MOUTHS = {f"happy{n:02}": 0.25 if f"happy{n:02}" in NOISY_MOUTHS else 1.0 for n in range(1, 19)} | {
    f"sad{n:02}": 0.2 if f"sad{n:02}" in NOISY_MOUTHS else 0.8 for n in range(1, 10)
}


def _uniform(edition: Edition, index: int, key: str) -> float:
    """Draw from [0, 1) by (edition, index, key): one attribute's options never shift another's."""
    digest = hashlib.sha256(f"{edition.version}:{index}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _pick(edition: Edition, index: int, key: str, weights: Mapping[str, float]) -> str:
    """Choose a name with a chance proportional to its weight (all above 0)."""
    left = _uniform(edition, index, key) * math.fsum(weights.values())
    for name, weight in weights.items():
        left -= weight
        if left < 0:
            return name
    return name  # rounding can leave a crumb after the last one


def _distance(one: str, other: str) -> float:
    """Measure two RRGGBB colours' Euclidean distance, 0..442."""
    return math.dist(bytes.fromhex(one), bytes.fromhex(other))


def _equally(names: Iterable[str]) -> dict[str, float]:
    return dict.fromkeys(names, 1.0)


def _variants(count: int) -> dict[str, float]:
    return _equally(f"variant{n:02}" for n in range(1, count + 1))


def _eyes_state(eyes: str) -> str:
    if eyes in {"variant15", "variant18"}:
        return "wink"
    if eyes == "variant03":
        return "half"
    return "closed" if eyes in CLOSED_EYES else "open"


def _contrasting(hair: str, skin: str) -> dict[str, float]:
    """The backgrounds that contrast with hair and skin; at least one."""
    worst = {
        name: min(_distance(fill, HAIR_COLOURS[hair]), _distance(fill, SKINS[skin].fill))
        for name, fill in BACKGROUNDS.items()
    }
    names = [name for name, distance in worst.items() if distance >= MIN_CONTRAST]
    return _equally(names or [max(worst, key=lambda name: worst[name])])


def _readable_hairs(skin: str) -> dict[str, float]:
    """Hair as dark as the skin's lines leaves one brown blob: light or vivid hair there."""
    fill = SKINS[skin].fill
    return _equally(
        name for name, hair in HAIR_COLOURS.items() if _distance(hair, fill) > MIN_CONTRAST_TO_SKIN
    )


def attributes(index: int, edition: Edition = SECOND) -> dict[str, str]:
    """Say what image `index` (0 and up) shows, as attribute name -> value name.

    The same names for every index. Raises ValueError below 0.
    """
    if index < 0:
        raise ValueError(f"image numbers start at 0, not {index}")
    pick = functools.partial(_pick, edition, index)
    skin = pick("skin", {name: tone.weight for name, tone in SKINS.items()})
    free = edition.independent
    hair_colour = pick("hair_colour", _equally(HAIR_COLOURS) if free else _readable_hairs(skin))
    backgrounds = _equally(BACKGROUNDS) if free else _contrasting(hair_colour, skin)
    hair, eyes, mouth = pick("hair", HAIRS), pick("eyes", EYES), pick("mouth", MOUTHS)
    return {
        "hair": hair,
        "hair_length": LENGTH_OF[hair],
        "hair_colour": hair_colour,
        "skin": skin,
        "head": pick("head", _variants(4)),
        "eyes": eyes,
        "eyes_state": _eyes_state(eyes),
        "eye_colour": pick("eye_colour", _equally(EYE_COLOURS)),
        "eyebrows": pick("eyebrows", _variants(13)),
        "nose": pick("nose", _variants(6)),
        "mouth": mouth,
        "mood": mouth.rstrip("0123456789"),
        "glasses": pick(
            "glasses", {"none": 88, "round": 3, SUNGLASSES: 1, "oval": 3, "square": 3, "half": 2}
        ),
        "beard": pick("beard", {"none": 100 - BEARD_WEIGHT, "variant01": BEARD_WEIGHT}),
        "freckles": pick("freckles", {"no": 93, "yes": 7}),
        "earrings": pick("earrings", {"none": 88, "variant01": 4, "variant02": 4, "variant03": 4}),
        "flowers": pick("flowers", {"no": 94, "yes": 6}),
        "background": pick("background", backgrounds),
    }


def _darker(colour: str, factor: float) -> str:
    return bytes(round(channel * factor) for channel in bytes.fromhex(colour)).hex()


def _colours(values: Mapping[str, str]) -> dict[str, Any]:
    """Turn colour names into DiceBear's colour options."""
    skin, eye = SKINS[values["skin"]], EYE_COLOURS[values["eye_colour"]]
    hair = HAIR_COLOURS[values["hair_colour"]]
    deep = values["skin"] in {"bronze", "brown", "umber"}
    return {
        "hairColor": hair,
        "skinColor": skin.fill,
        "outlineColor": skin.outline,
        "noseColor": skin.nose,
        "mouthColor": skin.mouth,
        "frecklesColor": skin.nose,
        "eyebrowsColor": _darker(hair, 0.45) if not deep else _darker(skin.fill, 0.35),
        # Dark lashes running into a coloured iris: the fill of one path from top to bottom.
        "eyesColor": [_darker(eye.lash, 0.6), eye.bright] if deep else [eye.lash, eye.iris],
        "eyesColorFill": "linear",
        "eyesColorFillStops": 2,
        "eyesColorAngle": 90,
        "eyesColorOrder": "fixed",
        "glassesColor": "2f2a45",
        "earringsColor": "f0b429",
        "hairAccessoriesColor": "fffaf5",
        "backgroundColor": BACKGROUNDS[values["background"]],
    }


def _contours(values: Mapping[str, str]) -> dict[str, str]:
    """The colours of the contours: a darker shade where contrast is low, else the fill itself."""
    hair, skin = HAIR_COLOURS[values["hair_colour"]], SKINS[values["skin"]].fill
    background = BACKGROUNDS[values["background"]]
    hair_melts = (
        _distance(hair, background) < MIN_CONTRAST or _distance(hair, skin) < MIN_CONTRAST_TO_SKIN
    )
    skin_melts = _distance(skin, background) < MIN_CONTRAST
    return {
        "hairContourColor": _darker(hair, SHADE) if hair_melts else hair,
        "skinContourColor": _darker(skin, SHADE) if skin_melts else skin,
    }


def options(index: int, edition: Edition = SECOND) -> dict[str, Any]:
    """Give DiceBear's options for image `index`: every part named, nothing left to its seed."""
    values = attributes(index, edition)
    parts: dict[str, Any] = {
        f"{part}Variant": values[part]
        for part in ("hair", "head", "eyes", "eyebrows", "nose", "mouth")
    }
    optional = {
        "glasses": f"variant{GLASSES.get(values['glasses'], '01')}",
        "beard": "variant01",
        "freckles": "variant01",
        "earrings": values["earrings"] if values["earrings"] != "none" else "variant01",
        "hairAccessories": "flowers",
    }
    presence = {**values, "hairAccessories": values["flowers"]}
    for part, variant in optional.items():
        parts[f"{part}Variant"] = variant
        parts[f"{part}Probability"] = 0 if presence[part] in {"none", "no"} else 100
    colours = _colours(values) | (_contours(values) if edition.independent else {})
    # The seed picks nothing; it only names the parts inside the SVG.
    return {"seed": edition.version, "scale": 1.22, "translateY": 5, **parts, **colours}


def _scaling(x: float, y: float, width: float, height: float, by: float, left: float) -> str:
    x, y = x + width / 2 * (1 - by) - left, y + height / 2 * (1 - by)
    return f"translate({x:.2f} {y:.2f}) scale({by})"


def _contour(element: dict[str, Any], part: str) -> None:
    """Draw what is filled with the part's colour with a contour outside of it, at any depth."""
    fill = element.get("attributes", {}).get("fill")
    if isinstance(fill, dict) and fill.get("name") == part:
        element["attributes"] |= {
            "stroke": {"type": "color", "name": f"{part}Contour"},
            "stroke-width": f"{2 * CONTOUR:g}",
            "stroke-linejoin": "round",
            "paint-order": "stroke",
        }
    for child in element.get("children", []):
        _contour(child, part)


def _add_contours(definition: dict[str, Any]) -> None:
    for component, part in (("hair", "hair"), ("head", "skin")):
        definition["colors"][f"{part}Contour"] = {"notEqualTo": [], "values": ["#000000"]}
        for variant in definition["components"][component]["variants"].values():
            for element in variant["elements"]:
                _contour(element, part)


@functools.cache
def _style(edition: Edition = SECOND) -> Style:
    """Load Lorelei with larger eyes and mouths (once a process)."""
    lorelei = json.loads(files("dicebear_styles").joinpath("lorelei.json").read_text("utf-8"))
    definition = copy.deepcopy(lorelei)
    components = definition["components"]
    for head in components["head"]["variants"].values():
        for element in head["elements"]:
            # 22 units to the left: the far eye would else stand over the cheek's outline.
            by, left = {"eyes": (1.22, 22.0), "mouth": (1.2, 8.0)}.get(element["name"], (0, 0))
            if by:
                x, y = element["attributes"]["transform"].removeprefix("translate(")[:-1].split()
                box = components[element["name"]]
                element["attributes"]["transform"] = _scaling(
                    float(x), float(y), box["width"], box["height"], by, left
                )
    if edition.independent:
        _add_contours(definition)
    return Style(definition)


def render(index: int, size: int, edition: Edition = SECOND) -> Images:
    """Draw image `index` as (size, size, 3) uint8; size: 8..1024.

    The same picture at any size, so that two sizes make a pair. Drawn at a multiple of the size
    and reduced, since thin lines stay crisper than drawn directly.
    Raises ValueError for a size or an index out of range.
    """
    if not 8 <= size <= LARGEST_SIZE:
        raise ValueError(f"a starter image's size is 8 to {LARGEST_SIZE}, not {size}")
    factor = max(2, math.ceil(DRAWN_SIZE / size)) if edition.independent else 2
    svg = Avatar(_style(edition), options(index, edition)).to_string()
    png = resvg_py.svg_to_bytes(
        svg_string=svg, width=factor * size, height=factor * size, skip_system_fonts=True
    )
    with Image.open(io.BytesIO(png), formats=("PNG",)) as large:
        colour = large.convert("RGB")
    if edition.independent:
        return np.asarray(colour.reduce(factor), dtype=np.uint8)
    return np.asarray(colour.resize((size, size), Image.Resampling.LANCZOS), dtype=np.uint8)


def render_all(
    count: int, size: int, workers: int | None = None, edition: Edition = SECOND
) -> Iterator[Images]:
    """Draw images 0..count-1 in order, each (size, size, 3) uint8, on `workers` cores (all)."""
    starts = range(0, count, CHUNK)
    workers = min(workers or cores.available(), max(1, len(starts)))
    if workers == 1:
        yield from (render(index, size, edition) for index in range(count))
        return
    # spawn: forking a process that holds torch or OpenMP threads can hang the child.
    children_before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    try:
        for chunk in pool.map(_chunk, starts, repeat(count), repeat(size), repeat(edition)):
            yield from chunk
    except BaseException:
        # Terminate the children: on a busy machine one takes half a minute to start, and a
        # worker has 30 s to exit.
        for child in set(multiprocessing.active_children()) - children_before:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _chunk(start: int, count: int, size: int, edition: Edition) -> Images:
    indices = range(start, min(start + CHUNK, count))
    return np.stack([render(index, size, edition) for index in indices])


def labels(count: int, edition: Edition = SECOND) -> dict[str, dict[str, dict[str, list[Any]]]]:
    """Give images 0..count-1's attributes as sorted values and one code an image."""
    rows = [attributes(index, edition) for index in range(count)]
    table: dict[str, dict[str, list[Any]]] = {}
    for name in rows[0] if rows else ():
        values = sorted({row[name] for row in rows})
        code = {value: number for number, value in enumerate(values)}
        table[name] = {"values": values, "codes": [code[row[name]] for row in rows]}
    return {"attributes": table}


def fingerprint(count: int, size: int, edition: Edition = SECOND) -> str:
    """Name the set: SHA-256 hex of the edition, the drawings, the count and the size."""
    text = f"{edition.version}:{_style_digest()}:{count}:{size}"
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def _style_digest() -> str:
    """Digest the drawings themselves: a new dicebear-styles with other paths is another set."""
    return hashlib.sha256(
        files("dicebear_styles").joinpath("lorelei.json").read_bytes()
    ).hexdigest()
