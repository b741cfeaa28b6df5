"""What an avatar request asks for, checked."""

import math
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from app.errors import InvalidParameter, UnknownExtension
from app.parameters import decoded, parse
from models import latents
from models.registry import DEFAULT

SIZES = range(16, 1025)
DEFAULT_SIZE = 128
PSI = (0.0, 1.5)  # beyond 1.5 a face leaves what the generator saw in training
LONGEST_MODEL = 64
# Name → Pillow's name, in the order of preference among equals.
FORMATS = {"png": "PNG", "webp": "WEBP", "jpeg": "JPEG"}
NAMES = {"png": "png", "webp": "webp", "jpeg": "jpeg", "jpg": "jpeg"}
OPTIONS = ("size", "format", "model", "psi")

_INTEGER = re.compile(r"[0-9]{1,6}")
_NUMBER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,20})?|\.[0-9]{1,20}")


@dataclass(frozen=True)
class Asked:
    """One picture. `negotiated`: the Accept header chose the format."""

    seed: str
    size: int
    format: str
    model: str
    psi: float
    negotiated: bool

    def canonical(self) -> str:
        """The parameters that decide the bytes, the model aside."""
        return f"size={self.size}&format={self.format}&psi={self.psi!r}&seed={quoted(self.seed)}"

    def address(self) -> str:
        """The URL, relative to the server, that asks for exactly this."""
        return "/avatar?" + urlencode(
            {
                "seed": self.seed,
                "size": self.size,
                "format": self.format,
                "model": self.model,
                "psi": repr(self.psi),
            },
            quote_via=quote,
        )


def quoted(text: str) -> str:
    """Percent-encoded, fit for a header."""
    return quote(text, safe="")


def from_query(raw: bytes, accept: str | None) -> tuple[Asked, bool]:
    """`GET /avatar`: what is asked, and whether its seed was."""
    given = parse(raw, ("seed", *OPTIONS))
    seed = given.pop("seed", None)
    return _asked(latents.random_seed() if seed is None else seed, given, accept), seed is not None


def from_path(name: bytes, raw: bytes, accept: str | None) -> Asked:
    """`GET /avatar/{seed}.{ext}`, `name` still percent-encoded. Raises UnknownExtension."""
    given = parse(raw, OPTIONS)
    seed, dot, extension = decoded(name, "seed").rpartition(".")
    if not dot:
        return _asked(extension, given, accept)
    if extension.lower() not in NAMES:
        raise UnknownExtension(
            f"There is no picture format {extension[:20]!r}; use .png, .webp or .jpg. For a seed "
            "with a dot in it, add one of them, or ask for /avatar?seed=…"
        )
    checked = _asked(seed, {**given, "format": extension.lower()}, accept)
    if "format" in given:
        _format(given["format"])
    return checked


def options(raw: bytes) -> dict[str, str]:
    """`GET /avatar/random`: the options to carry on, checked."""
    given = parse(raw, OPTIONS)
    _asked("", given, None)
    return given


def _asked(seed: str, given: dict[str, str], accept: str | None) -> Asked:
    latents.checked(seed)
    named = given.get("format")
    return Asked(
        seed=seed,
        size=_size(given.get("size", str(DEFAULT_SIZE))),
        format=negotiate(accept) if named is None else _format(named),
        model=_model(given.get("model", DEFAULT)),
        psi=_psi(given.get("psi", "1")),
        negotiated=named is None,
    )


def _size(text: str) -> int:
    if not _INTEGER.fullmatch(text) or int(text) not in SIZES:
        allowed = f"a whole number from {SIZES.start} to {SIZES.stop - 1}"
        raise InvalidParameter("size", f"is {text[:40]!r}", allowed)
    return int(text)


def _psi(text: str) -> float:
    low, high = PSI
    if not _NUMBER.fullmatch(text) or not low <= float(text) <= high:
        raise InvalidParameter(
            "psi", f"is {text[:40]!r}", f"a number from {low:g} (the average face) to {high:g}"
        )
    return float(text)


def _format(text: str) -> str:
    if text not in NAMES:
        raise InvalidParameter("format", f"is {text[:40]!r}", list(FORMATS))
    return NAMES[text]


def _model(text: str) -> str:
    if not text or len(text) > LONGEST_MODEL:
        allowed = "an alias, a version, or at least 12 of its hex digits"
        raise InvalidParameter("model", f"is {text[:80]!r}", allowed)
    return text


def negotiate(accept: str | None) -> str:
    """The format that an Accept header prefers (RFC 9110 §12.5.1); PNG where it names none."""
    ranges = _ranges(accept or "")

    def wish(name: str) -> tuple[float, bool]:
        for pattern in (f"image/{name}", "image/*", "*/*"):
            if pattern in ranges:
                return ranges[pattern], pattern.startswith("image/") and "*" not in pattern
        return 0.0, False

    # max() keeps the first of equals, so FORMATS is the order of preference.
    return max(FORMATS, key=wish)


def _ranges(accept: str) -> dict[str, float]:
    ranges = {}
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        ranges[media] = quality if math.isfinite(quality) else 0.0
    return ranges


def documented(seed: bool) -> dict[str, Any]:
    """OpenAPI parameters, since the routes read the raw query themselves."""

    def query(name: str, text: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
        fields = {"name": name, "in": "query", "required": False}
        return {**fields, "description": text, "schema": schema, "example": example}

    whole = {"type": "integer", "minimum": SIZES.start, "maximum": SIZES.stop - 1}
    number = {"type": "number", "minimum": PSI[0], "maximum": PSI[1], "default": 1}
    rows = [
        query("size", "Side in pixels.", {**whole, "default": DEFAULT_SIZE}, 256),
        query(
            "format",
            "Else the Accept header chooses, else PNG.",
            {"type": "string", "enum": list(FORMATS)},
            "webp",
        ),
        query(
            "model",
            "An alias, a version, or 12 or more of its hex digits. Only a full version is "
            "immutable for caches.",
            {"type": "string", "default": DEFAULT},
            "latest",
        ),
        query("psi", "Below 1: nearer to the average face; above: bolder.", number, 0.7),
    ]
    if seed:
        text = "Any text up to 4,096 bytes of UTF-8, the empty one too. None: a random one."
        rows.insert(0, query("seed", text, {"type": "string"}, "42"))
    return {"parameters": rows}
