"""The picture formats: what each is called, who writes it, and what it can hold."""

from dataclasses import dataclass
from functools import cache

from PIL import features

from app.errors import InvalidParameter, UnknownExtension


@dataclass(frozen=True)
class Format:
    """`pillow`: its name there; `needs`: the part of Pillow without which it cannot be written."""

    name: str
    media: str
    alpha: bool
    pillow: str | None = None
    needs: str | None = None


# In the order of preference among equals: the cheapest to make first.
FORMATS = {
    format.name: format
    for format in (
        Format("png", "image/png", alpha=True),
        Format("webp", "image/webp", alpha=True, pillow="WEBP", needs="webp"),
        Format("jpeg", "image/jpeg", alpha=False, pillow="JPEG", needs="jpg"),
        Format("avif", "image/avif", alpha=True, pillow="AVIF", needs="avif"),
        Format("apng", "image/apng", alpha=True, pillow="PNG"),
        Format("gif", "image/gif", alpha=True, pillow="GIF"),
        Format("svg", "image/svg+xml", alpha=True),
    )
}
STILL = tuple(FORMATS)
RASTER = ("png", "webp", "jpeg", "avif")
MOVING = ("webp", "apng", "gif")
NAMES = {name: name for name in FORMATS} | {"jpg": "jpeg"}


@cache
def available() -> frozenset[str]:
    """The formats that this machine's Pillow was built to write."""
    return frozenset(
        format.name
        for format in FORMATS.values()
        if format.needs is None or features.check(format.needs)
    )


def chosen(text: str, among: tuple[str, ...]) -> str:
    """The format of a `format=`. Raises InvalidParameter, naming those that there are."""
    here = [name for name in among if name in available()]
    name = NAMES.get(text, "")
    if name in here:
        return name
    missing = name in among
    problem = f"is {text[:40]!r}" + (", which this server's Pillow cannot write" if missing else "")
    raise InvalidParameter("format", problem, here)


def of_extension(extension: str, among: tuple[str, ...] = STILL) -> str:
    """The format of `png`, `.JPG` and the like. Raises UnknownExtension, InvalidParameter."""
    name = extension.lower().removeprefix(".")
    if name not in NAMES:
        told = ", ".join(f".{known}" for known in NAMES if NAMES[known] in among)
        raise UnknownExtension(
            f"There is no picture format {extension[:20]!r}; use one of {told}. For a seed with "
            "a dot in it, add one of them, or ask for /avatar?seed=…"
        )
    return chosen(name, among)
