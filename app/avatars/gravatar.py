"""Gravatar's and Libravatar's addresses: `/avatar/{md5 or sha256}?s=&d=&f=&r=`.

Clients also send them with slashes before or after the hash (django-avatar), and without a hash,
for a person without an e-mail address (WordPress): that is the default image. Some join the query
by `&` or `;`, and some use Gravatar's first address, `/avatar.php?gravatar_id={md5}`, with or
without `.php`. Every hash has a face here, so a default (`d`) has an effect only where it is forced
(`f=y`). As in the originals, unknown parameters and values are ignored, never refused. A URL in `d`
is not followed: redirecting to an address from the query would be an open redirect (CWE-601).
Sources: docs.gravatar.com/api/avatars/images, wiki.libravatar.org/api.
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from PIL import Image

from app.avatars import formats
from app.avatars.encode import still
from app.avatars.formats import FORMATS, STILL, negotiate
from app.avatars.request import costs
from app.avatars.request.costs import Estimate, Shape
from app.avatars.request.parameters import LARGEST, device_pixels
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR
from app.errors import InvalidParameter, NoAvatar
from app.headers import SHARED
from app.http import cache_headers

DEFAULT_SIZE = 80
SMALLEST = 16
ALIASES = {"size": "s", "default": "d", "forcedefault": "f", "rating": "r"}
# Defaults that Gravatar generates from the hash, as we do; others give the average face.
GENERATED_DEFAULTS = {
    "identicon",
    "monsterid",
    "wavatar",
    "retro",
    "robohash",
    "pagan",
    "initials",
    "color",
}
LEGACY_PATH, LEGACY_PARAMETER = "/avatar.php", "gravatar_id"
OWN_PARAMETERS = ("model", "psi", "dpr", "shape", "backdrop", "variant", "best_of")
_HASH = re.compile(
    r"(?P<hash>[0-9a-f]{32}|[0-9a-f]{64})(?:\.(?P<extension>[a-z]+))?(?:[&?;](?P<query>.*))?",
    re.IGNORECASE,
)
_PADDING = "/ \t\r\n"  # characters that templates of hosts leave around a hash


@dataclass(frozen=True)
class GravatarAddress:
    """The parts of an address. hash, extension: in lower case; empty where it has none."""

    hash: str
    extension: str
    parameters: Mapping[str, str]


def read_address(name: str, query: bytes) -> GravatarAddress | None:
    """Read an address whose path ends in `name`; None: it is not one of Gravatar's.

    name: 32 or 64 hex digits, with or without an extension, and a query that follows `&`; or
    nothing: then `gravatar_id` may have the hash.
    """
    parameters, text = parse_query(query), name.strip(_PADDING)
    if not text:
        text = parameters.get(LEGACY_PARAMETER, "").strip()
        if _HASH.fullmatch(text) is None:
            return GravatarAddress("", "", parameters)
    match = _HASH.fullmatch(text)
    if match is None or (match["extension"] or "png").lower() not in formats.EXTENSIONS:
        return None
    own_values = parse_query((match["query"] or "").encode())
    extension = (match["extension"] or "").lower()
    return GravatarAddress(match["hash"].lower(), extension, {**own_values, **parameters})


@dataclass(frozen=True)
class BlankImage:
    """A transparent image, or a white one where its format has no transparency."""

    size: int
    format: str
    is_negotiated: bool

    @property
    def estimate(self) -> Estimate:
        """The time and memory that encoding takes, as of a face of this size."""
        pixels = self.size * self.size
        shape = Shape("face", self.format, pixels, 1, 1, self.size, drawing=0.0)
        return costs.estimate(shape, has_enlarger=False)

    @property
    def media_type(self) -> str:
        """The media type of the image."""
        return FORMATS[self.format].media_type

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the response."""
        headers = {"Cache-Control": cache_headers.MUTABLE, **SHARED}
        return {**headers, "Vary": "Accept"} if self.is_negotiated else headers

    def encode(self) -> bytes:
        """The bytes of the file."""
        size = self.size
        if self.format == "svg":
            return b'<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d"/>' % (
                size,
                size,
            )
        has_alpha = FORMATS[self.format].has_alpha
        mode, colour = ("RGBA", "#ffffff00") if has_alpha else ("RGB", "white")
        return still.write(Image.new(mode, (size, size), colour), self.format, still.NO_STAMP)


def parse_gravatar(address: GravatarAddress, accept: str | None) -> PictureRequest | BlankImage:
    """The request for a hash's face or for the average face, or a transparent image.

    The parameters of `/avatar` that change the look are read too, where their values are valid.

    Raises NoAvatar for a forced `d=404`.
    """
    hash, extension, parameters = address.hash, address.extension, address.parameters
    size = _parse_size(parameters.get("s", ""))
    texts = {"seed": hash, "size": str(size), **_own_parameters(parameters, size)}
    if extension:
        texts["format"] = formats.parse_extension(extension)
    default = parameters.get("d", "").lower()
    is_forced = not hash or parameters.get("f", "").lower() in ("y", "yes")
    is_description = texts.get("format") == formats.JSON
    if not is_forced or is_description or default in GENERATED_DEFAULTS:
        return PictureRequest.parse(AVATAR, texts, accept)
    if default == "404":
        raise NoAvatar("The default is d=404, and it is forced or there is no hash.")
    if default == "blank":
        format = texts.get("format")
        side = device_pixels(AVATAR.parse(texts))
        return BlankImage(side, format or negotiate(accept, STILL), format is None)
    # mp, a URL, an unknown word, or none: the model's average face.
    return PictureRequest.parse(AVATAR, {**texts, "seed": "", "psi": "0"}, accept)


def _own_parameters(parameters: Mapping[str, str], size: int) -> dict[str, str]:
    """The parameters of `/avatar` that Gravatar lacks, as far as their values are valid."""
    texts = {}
    for name in (*OWN_PARAMETERS, "format"):
        if (text := parameters.get(name)) is None:
            continue
        with contextlib.suppress(InvalidParameter):
            if name == "format":
                texts[name] = formats.parse_format(text, formats.FACE)
            else:
                AVATAR.by_name[name].value(text)
                texts[name] = text
    with contextlib.suppress(InvalidParameter):
        AVATAR.parse({"seed": "", "size": str(size), **texts})
        return texts
    return {name: text for name, text in texts.items() if name != "dpr"}


def parse_query(query: bytes) -> dict[str, str]:
    """The parameters by name, without refusing any: the last of equal ones, what is no UTF-8."""
    parameters = {}
    # `;` separates too (HTML 4.01, B.2.2), and ends the `&amp;` of an address escaped for HTML.
    for part in re.split("[&;]", query.decode("latin-1")):
        name, _, value = part.partition("=")
        parameters[ALIASES.get(name, name)] = unquote_plus(value, errors="replace")
    return parameters


def _parse_size(text: str) -> int:
    # As PHP reads numbers: `80px`, `80.5` and ` 80` are 80.
    match = re.match(r"\s*\+?0*([1-9][0-9]{0,8})(?![0-9])", text, re.ASCII)
    return DEFAULT_SIZE if match is None else min(max(int(match[1]), SMALLEST), LARGEST)
