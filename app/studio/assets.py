"""The scripts, styles and icons of the pages, at addresses that contain a digest of them all."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from app.http.content_encoding import EncodedContent, encode_content

FOLDER = Path(__file__).parent / "assets"
MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
}
BROTLI_QUALITY = 9  # 11 takes three seconds for Swagger UI
# Swagger UI as a package, since FastAPI's own page loads it from a CDN.
SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")


@dataclass(frozen=True)
class Asset:
    """One file as it travels, and its media type."""

    content: EncodedContent
    media: str


@cache
def assets() -> dict[str, Asset]:
    """Return all of them by name; the name of a subfolder is part of it."""
    contents = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in MEDIA
    }
    swagger = files("fastapi_offline") / "static"
    contents |= {name: (swagger / name).read_bytes() for name in SWAGGER}
    return {name: _asset(name, content) for name, content in contents.items()}


@cache
def digest() -> str:
    """Return the digest of all together: modules import each other by relative names."""
    digest_of_all = hashlib.sha256()
    for name, asset in sorted(assets().items()):
        digest_of_all.update(
            f"{name}\0{hashlib.sha256(asset.content.plain).hexdigest()}\n".encode()
        )
    return digest_of_all.hexdigest()[:16]


def _asset(name: str, content: bytes) -> Asset:
    return Asset(encode_content(content, BROTLI_QUALITY), MEDIA[Path(name).suffix])
