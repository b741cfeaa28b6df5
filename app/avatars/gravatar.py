"""Gravatar's and Libravatar's addresses: `/avatar/{md5 or sha256}?s=&d=&f=&r=`.

Every hash has a face here, so a default (`d`) only speaks when it is forced (`f=y`). As there,
unknown parameters and values are ignored, never refused. A URL in `d` is not followed: a redirect
to wherever a client says would be an open one (CWE-601).
Sources: docs.gravatar.com/api/avatars/images, wiki.libravatar.org/api.
"""

import re
from urllib.parse import unquote_plus

from PIL import Image
from starlette.responses import Response

from app.avatars.cache import http_headers
from app.avatars.encode import formats, still
from app.avatars.encode.formats import FORMATS, STILL
from app.avatars.encode.negotiation import negotiate
from app.avatars.encode.provenance import Stamp
from app.avatars.request.parameters import LARGEST
from app.avatars.request.picture_request import Asked, asked
from app.avatars.request.picture_types import AVATAR
from app.problems import problem

DEFAULT_SIZE = 80
SMALLEST = 16
ALIASES = {"size": "s", "default": "d", "forcedefault": "f", "rating": "r"}
# Faces made from the hash, as theirs are; the rest of what they know is below.
DRAWN = {"identicon", "monsterid", "wavatar", "retro", "robohash", "pagan", "initials", "color"}
_HASH = re.compile(r"([0-9a-f]{32}|[0-9a-f]{64})(?:\.([a-z]+))?", re.IGNORECASE)


def is_hash(name: str) -> bool:
    """32 or 64 hex digits, with or without the extension of a picture."""
    found = _HASH.fullmatch(name)
    return found is not None and (found[2] or "png").lower() in formats.NAMES


def read(name: str, raw: bytes, accept: str | None) -> Asked | Response:
    """The face of a hash, the average face, nothing but transparency, or a 404."""
    hash, _, extension = name.lower().partition(".")
    given = _given(raw)
    words = {"seed": hash, "size": str(_size(given.get("s", "")))}
    if extension:
        words["format"] = formats.of_extension(extension)
    if "model" in given:
        words["model"] = given["model"]
    default = given.get("d", "").lower()
    if given.get("f", "").lower() not in ("y", "yes") or default in DRAWN:
        return asked(AVATAR, words, accept)
    if default == "404":
        return problem(404, "no-avatar", "The default was forced, and it is d=404.")
    if default == "blank":
        return _blank(int(words["size"]), words.get("format"), accept)
    # mp, a URL, a word that nobody knows, or none: the model's average face.
    return asked(AVATAR, {**words, "seed": "", "psi": "0"}, accept)


def _given(raw: bytes) -> dict[str, str]:
    found = {}
    for part in raw.decode("latin-1").split("&"):
        name, _, value = part.partition("=")
        found[ALIASES.get(name, name)] = unquote_plus(value, errors="replace")
    return found


def _size(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        return DEFAULT_SIZE
    return min(max(int(text), SMALLEST), LARGEST)


def _blank(size: int, format: str | None, accept: str | None) -> Response:
    name = format or negotiate(accept, STILL)
    if name == "svg":
        body = b'<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d"/>' % (size, size)
    else:
        alpha = FORMATS[name].alpha
        image = Image.new(
            "RGBA" if alpha else "RGB", (size, size), "#ffffff00" if alpha else "white"
        )
        body = still.write(image, name, Stamp("", ""))
    headers = {"Cache-Control": http_headers.MOVABLE, "Access-Control-Allow-Origin": "*"}
    if format is None:
        headers["Vary"] = "Accept"
    return Response(body, headers=headers, media_type=FORMATS[name].media)
