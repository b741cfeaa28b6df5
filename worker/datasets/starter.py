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
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib.resources import files
from itertools import repeat
from typing import Any

import numpy as np
import resvg_py
from dicebear import Avatar, Style
from numpy.typing import NDArray
from PIL import Image

from models import cores
from worker.datasets.starter_attributes import (
    BACKGROUNDS,
    DEEP_SKINS,
    EYE_COLOURS,
    GLASSES,
    HAIR_COLOURS,
    MIN_CONTRAST,
    MIN_CONTRAST_TO_SKIN,
    SKINS,
    THIRD,
    Edition,
    attributes,
    distance,
)

LICENCE = "CC0-1.0"
CREDIT = "Lorelei by Lisa Wischofsky, CC0 1.0, via DiceBear"
LARGEST_SIZE = 1024
CHUNK = 64  # images a work item: the progress moves every second or so, pickling costs nothing

Progress = Callable[[int, int], None]
Images = NDArray[np.uint8]

CONTOUR, SHADE = 9.0, 0.55  # its width beyond the fill, of 980; its brightness, of the fill's
# Each enlarged part: its scale, and by how many units of the SVG it moves to the left. The far eye
# would else stand over the cheek's outline.
ENLARGED_PARTS = {"eyes": (1.22, 22.0), "mouth": (1.2, 8.0)}
DRAWN_SIZE = 192  # pixels at least before a picture is reduced by area


def _darker(colour: str, factor: float) -> str:
    return bytes(round(channel * factor) for channel in bytes.fromhex(colour)).hex()


def _colours(values: Mapping[str, str], edition: Edition) -> dict[str, Any]:
    """Turn colour names into DiceBear's colour options."""
    skin, hair = SKINS[values["skin"]], HAIR_COLOURS[values["hair_colour"]]
    deep = values["skin"] in DEEP_SKINS
    eyes = _eyes(values, edition)
    mouth = (skin.clear_mouth if edition.clear_on_deep_skin else None) or skin.mouth
    return {
        "hairColor": hair,
        "skinColor": skin.fill,
        "outlineColor": skin.outline,
        "noseColor": skin.nose,
        "mouthColor": mouth,
        "frecklesColor": skin.nose,
        "eyebrowsColor": _darker(hair, 0.45) if not deep else _darker(skin.fill, 0.35),
        "eyesColor": eyes,
        "eyesColorFill": "linear",
        "eyesColorFillStops": len(eyes),
        "eyesColorAngle": 90,
        "eyesColorOrder": "fixed",
        "glassesColor": "2f2a45",
        "earringsColor": "f0b429",
        "hairAccessoriesColor": "fffaf5",
        "backgroundColor": BACKGROUNDS[values["background"]],
    }


def _eyes(values: Mapping[str, str], edition: Edition) -> list[str]:
    """Dark lashes running into a coloured iris: the fill of one path from top to bottom."""
    eye = EYE_COLOURS[values["eye_colour"]]
    if values["skin"] not in DEEP_SKINS:
        return [eye.lash, eye.iris]
    if not edition.clear_on_deep_skin:
        return [_darker(eye.lash, 0.6), eye.bright]
    # Half lash, half iris: the colours of a longer gradient between them are those of the skin.
    skin, lash = SKINS[values["skin"]].fill, _darker(eye.lash, 0.4)
    iris = eye.bright if distance(eye.bright, skin) >= MIN_CONTRAST else eye.iris
    return [lash, lash, iris, iris]


def _contours(values: Mapping[str, str]) -> dict[str, str]:
    """The colours of the contours: a darker shade where contrast is low, else the fill itself."""
    hair, skin = HAIR_COLOURS[values["hair_colour"]], SKINS[values["skin"]].fill
    background = BACKGROUNDS[values["background"]]
    hair_melts = (
        distance(hair, background) < MIN_CONTRAST or distance(hair, skin) < MIN_CONTRAST_TO_SKIN
    )
    skin_melts = distance(skin, background) < MIN_CONTRAST
    return {
        "hairContourColor": _darker(hair, SHADE) if hair_melts else hair,
        "skinContourColor": _darker(skin, SHADE) if skin_melts else skin,
    }


def options(index: int, edition: Edition = THIRD) -> dict[str, Any]:
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
    colours = _colours(values, edition) | (_contours(values) if edition.independent else {})
    # The seed selects nothing; DiceBear makes the ids inside the SVG from it.
    return {"seed": edition.version, "scale": 1.22, "translateY": 5, **parts, **colours}


def _transform(
    x: float, y: float, width: float, height: float, scale: float, leftwards: float
) -> str:
    """SVG that scales a box about its own centre, then moves it."""
    x, y = x + width / 2 * (1 - scale) - leftwards, y + height / 2 * (1 - scale)
    return f"translate({x:.2f} {y:.2f}) scale({scale})"


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
def _style(edition: Edition = THIRD) -> Style:
    """Load Lorelei with larger eyes and mouths (once a process)."""
    lorelei = json.loads(files("dicebear_styles").joinpath("lorelei.json").read_text("utf-8"))
    definition = copy.deepcopy(lorelei)
    components = definition["components"]
    for head in components["head"]["variants"].values():
        for element in head["elements"]:
            scale, leftwards = ENLARGED_PARTS.get(element["name"], (0, 0))
            if scale:
                x, y = element["attributes"]["transform"].removeprefix("translate(")[:-1].split()
                box = components[element["name"]]
                element["attributes"]["transform"] = _transform(
                    float(x), float(y), box["width"], box["height"], scale, leftwards
                )
    if edition.independent:
        _add_contours(definition)
    return Style(definition)


def render(index: int, size: int, edition: Edition = THIRD) -> Images:
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
    count: int, size: int, workers: int | None = None, edition: Edition = THIRD
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


def fingerprint(count: int, size: int, edition: Edition = THIRD) -> str:
    """Name the set: SHA-256 hex of the edition, the drawings, the count and the size."""
    text = f"{edition.version}:{_style_digest()}:{count}:{size}"
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def _style_digest() -> str:
    """Digest the drawings themselves: a new dicebear-styles with other paths is another set."""
    return hashlib.sha256(
        files("dicebear_styles").joinpath("lorelei.json").read_bytes()
    ).hexdigest()
