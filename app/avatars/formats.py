"""The output formats: name, media type, options for writing, and which one a request gets.

A new format that Pillow writes is one row of FORMATS; `docs/api.md` lists them for users.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from PIL import features

from app.errors import InvalidParameter, UnknownExtension
from app.http.accept import parse_qualities


@dataclass(frozen=True)
class EncodingCost:
    """What encoding one layout in one format takes, measured by `benchmarks/picture_costs.py`.

    milliseconds: of a core, for a megapixel of the file, all frames together; of an SVG for one of
    the face that is traced, of JSON for one of the face that is described. bytes: the most memory
    that a pixel of one frame takes, and `total_bytes` a pixel of any frame.
    """

    milliseconds: float
    bytes: float
    total_bytes: float = 0.0


@dataclass(frozen=True, eq=False)
class Format:
    """One output format.

    costs: by layout, of every layout that the format is offered for. pillow: Pillow's name of it;
    None where Kao writes it itself. requires: the feature of Pillow that writes it. still_options,
    loop_options: Pillow's options for one image and for an animation; without loop_options the
    format has no animations.
    """

    name: str
    media_type: str
    has_alpha: bool
    costs: Mapping[str, EncodingCost]
    pillow: str | None = None
    requires: str | None = None
    still_options: Mapping[str, Any] = field(default_factory=dict)
    loop_options: Mapping[str, Any] | None = None


# In the server's order of preference: the cheapest to encode first.
FORMATS = {
    format.name: format
    for format in (
        Format(
            "png",
            "image/png",
            has_alpha=True,
            costs={
                "face": EncodingCost(10, 17),
                "sheet": EncodingCost(26, 14),
                "card": EncodingCost(17, 16),
            },
        ),
        Format(
            "webp",
            "image/webp",
            has_alpha=True,
            costs={
                "face": EncodingCost(98, 34),
                "loop": EncodingCost(51, 39, 4.1),
                "sheet": EncodingCost(117, 35),
                "card": EncodingCost(54, 15),
            },
            pillow="WEBP",
            requires="webp",
            still_options={"quality": 90, "method": 4},
            loop_options={"quality": 80, "method": 2, "minimize_size": False},
        ),
        Format(
            "jpeg",
            "image/jpeg",
            has_alpha=False,
            costs={
                "face": EncodingCost(10, 9),
                "sheet": EncodingCost(10, 9),
                "card": EncodingCost(16, 14),
            },
            pillow="JPEG",
            requires="jpg",
            # Chroma subsampling would blur the thin dark lines.
            still_options={"quality": 92, "subsampling": 0},
        ),
        Format(
            "avif",
            "image/avif",
            has_alpha=True,
            costs={
                "face": EncodingCost(133, 36),
                "sheet": EncodingCost(246, 34),
                "card": EncodingCost(77, 28),
            },
            pillow="AVIF",
            requires="avif",
            # As near to the pixels as that WebP in 0.85 of its bytes. One thread, so that the bytes
            # do not depend on how work is split; speed 8 takes a third of the default's time.
            still_options={"quality": 70, "speed": 8, "max_threads": 1},
        ),
        Format(
            "apng",
            "image/apng",
            has_alpha=True,
            costs={"face": EncodingCost(11, 17), "loop": EncodingCost(11, 22, 2.2)},
        ),
        Format(
            "gif",
            "image/gif",
            has_alpha=True,
            costs={"face": EncodingCost(201, 23), "loop": EncodingCost(17, 25, 1.2)},
            pillow="GIF",
            still_options={"optimize": 0},
            loop_options={"disposal": 2, "optimize": False},
        ),
        Format("svg", "image/svg+xml", has_alpha=True, costs={"face": EncodingCost(1700, 19)}),
        # A face in words (encode/description.py).
        Format("json", "application/json", has_alpha=True, costs={"face": EncodingCost(1500, 19)}),
    )
}
JSON = "json"
TEXT = ("svg", JSON)  # which the server compresses for clients that accept it
STILL = tuple(name for name in FORMATS if name != JSON)
# What `/avatar` answers with. Accept never chooses JSON: clients of HTTP list it by default.
FACE = (*STILL, JSON)
# Without SVG, which is traced from one face, and without the formats for animations.
RASTER = tuple(name for name in STILL if name not in ("apng", "gif", "svg"))
LOOP = ("webp", "apng", "gif")
EXTENSIONS = {name: name for name in FORMATS} | {"jpg": "jpeg"}


@cache
def writable_formats() -> frozenset[str]:
    """The formats that this installation of Pillow can write."""
    return frozenset(
        format.name
        for format in FORMATS.values()
        if format.requires is None or features.check(format.requires)
    )


def parse_format(text: str, choices: Sequence[str]) -> str:
    """The format that `format=` names. Raises InvalidParameter, which lists the possible ones."""
    writable = [name for name in choices if name in writable_formats()]
    name = EXTENSIONS.get(text, "")
    if name in writable:
        return name
    is_missing = name in choices
    problem = f"is {text[:40]!r}"
    if is_missing:
        problem += ", which this server's Pillow cannot write"
    raise InvalidParameter("format", problem, writable)


def parse_extension(extension: str, choices: Sequence[str] = FACE) -> str:
    """The format of `png`, `.JPG` and the like. Raises UnknownExtension, InvalidParameter."""
    name = extension.lower().removeprefix(".")
    if name not in EXTENSIONS:
        extensions = ", ".join(f".{other}" for other in EXTENSIONS if EXTENSIONS[other] in choices)
        raise UnknownExtension(
            f"There is no picture format {extension[:20]!r}; use one of {extensions}. For a seed "
            "that contains a dot, add one of them, or request /avatar?seed=…"
        )
    return parse_format(name, choices)


def negotiate(accept: str | None, choices: Sequence[str]) -> str:
    """The format that an Accept header prefers (RFC 9110 §12.5.1), else the first of `choices`.

    Of formats that it names with equal quality, WebP: Firefox and Safari name PNG as well.
    """
    ranges = dict(parse_qualities(accept or ""))

    def preference(name: str) -> tuple[float, bool, bool]:
        for pattern in (FORMATS[name].media_type, "image/*", "*/*"):
            if pattern in ranges:
                if ranges[pattern] == 0:  # refused: anything that is not named comes before it
                    return -1.0, False, False
                is_named = "*" not in pattern
                return ranges[pattern], is_named, is_named and name == "webp"
        return 0.0, False, False

    # max() returns the first of equals, so the order of `choices` breaks ties.
    pictures = (name for name in choices if name in writable_formats() and name != JSON)
    return max(pictures, key=preference)
