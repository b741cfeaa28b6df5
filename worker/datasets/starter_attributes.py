"""The attributes of the starter dataset's images: which there are, and what each image shows.

An image's attributes depend on its number and the edition alone.
"""

import functools
import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Edition(NamedTuple):
    """One version of the set. pictures: by default.

    independent: every attribute is chosen without regard to the others, and hair and skin get a
    contour where they would melt into what is beside them; reduced by area, without ringing.
    Otherwise the attributes depend on each other and Lanczos reduces.
    clear_on_deep_skin: eyes and mouths contrast with deep skin as they do with light skin.
    choices: what selects an image's attributes, with its number; of editions that share it, image
    `i` shows the same.
    """

    version: str
    pictures: int
    independent: bool
    clear_on_deep_skin: bool
    choices: str


FIRST = Edition(
    "kao-starter-1", 20_000, independent=False, clear_on_deep_skin=False, choices="kao-starter-1"
)
SECOND = Edition(
    "kao-starter-2", 50_000, independent=True, clear_on_deep_skin=False, choices="kao-starter-2"
)
THIRD = SECOND._replace(version="kao-starter-3", clear_on_deep_skin=True)
# The names by which a recipe names them. Old cards name `starter` and another fingerprint.
EDITIONS = {"starter": THIRD, "starter-2": SECOND, "starter-1": FIRST}


class Skin(NamedTuple):
    """One skin tone with the line colours that read on it, all as RRGGBB.

    clear_mouth: in an edition that is clear on deep skin, where `mouth` is not.
    """

    fill: str
    outline: str
    nose: str
    mouth: str
    weight: float
    clear_mouth: str | None = None


class Eyes(NamedTuple):
    """An eye colour: lash and iris, and the brighter iris for deep skin, all as RRGGBB."""

    lash: str
    iris: str
    bright: str


DEEP_SKINS = frozenset({"bronze", "brown", "umber"})
# On deep skin dark lines are invisible at 64 px: its lines are slightly different browns.
SKINS = {
    "porcelain": Skin("fff1e8", "3b2b3c", "d9a08e", "c4354a", 22),
    "fair": Skin("ffe2d1", "3b2b3c", "cf9079", "bf3045", 24),
    "peach": Skin("fbd0b4", "3d2a35", "c07f62", "b52b3f", 20),
    "tan": Skin("e8b48c", "432a2c", "a8714f", "a32638", 14),
    "bronze": Skin("c98e63", "4a2b22", "8c5a39", "8a1c2c", 10),
    "brown": Skin("a66d47", "52301f", "6f442b", "6f1724", 6),
    "umber": Skin("8a5738", "4a2a1c", "55321f", "f09a8c", 4, clear_mouth="4a0d1c"),
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
MIN_CONTRAST = (
    62  # Euclidean distance in 8-bit RGB: below, hair cannot be seen against the background
)
MIN_CONTRAST_TO_SKIN = 70
SUNGLASSES, BEARD_WEIGHT, HAIR_OVER_EYES = "shades", 0.5, 0.35

# Lorelei's hairs have numbers; these groups are labels with a meaning.
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
# The flat, toothy and dribbling mouths look like noise at 64 px, so they are rarer.
NOISY_MOUTHS = {"happy07", "happy12", "happy16", "sad06", "sad07"}
MOUTHS = {f"happy{n:02}": 0.25 if f"happy{n:02}" in NOISY_MOUTHS else 1.0 for n in range(1, 19)} | {
    f"sad{n:02}": 0.2 if f"sad{n:02}" in NOISY_MOUTHS else 0.8 for n in range(1, 10)
}


def _uniform(edition: Edition, index: int, key: str) -> float:
    """Draw from [0, 1) by (choices, index, key): one attribute's options never shift another's."""
    digest = hashlib.sha256(f"{edition.choices}:{index}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _pick(edition: Edition, index: int, key: str, weights: Mapping[str, float]) -> str:
    """Choose a name with a chance proportional to its weight (all above 0)."""
    remainder = _uniform(edition, index, key) * math.fsum(weights.values())
    for name, weight in weights.items():
        remainder -= weight
        if remainder < 0:
            return name
    return name  # rounding may leave a remainder after the last one


def distance(one: str, other: str) -> float:
    """Two RRGGBB colours' Euclidean distance, 0..442."""
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
        name: min(distance(fill, HAIR_COLOURS[hair]), distance(fill, SKINS[skin].fill))
        for name, fill in BACKGROUNDS.items()
    }
    names = [name for name, distance in worst.items() if distance >= MIN_CONTRAST]
    return _equally(names or [max(worst, key=lambda name: worst[name])])


def _readable_hairs(skin: str) -> dict[str, float]:
    """Hair as dark as the skin's lines leaves one brown blob: light or vivid hair there."""
    fill = SKINS[skin].fill
    return _equally(
        name for name, hair in HAIR_COLOURS.items() if distance(hair, fill) > MIN_CONTRAST_TO_SKIN
    )


def attributes(index: int, edition: Edition = THIRD) -> dict[str, str]:
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


def labels(count: int, edition: Edition = THIRD) -> dict[str, dict[str, dict[str, list[Any]]]]:
    """The attributes of images 0..count-1 as sorted values and one code an image."""
    rows = [attributes(index, edition) for index in range(count)]
    table: dict[str, dict[str, list[Any]]] = {}
    for name in rows[0] if rows else ():
        values = sorted({row[name] for row in rows})
        code = {value: number for number, value in enumerate(values)}
        table[name] = {"values": values, "codes": [code[row[name]] for row in rows]}
    return {"attributes": table}
