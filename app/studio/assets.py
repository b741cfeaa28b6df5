"""The scripts, styles and icons of the pages, at addresses that name their content."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

FOLDER = Path(__file__).parent / "assets"
MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
}
# Swagger UI as a package, since FastAPI's own page loads it from a CDN.
SWAGGER = ("swagger-ui-bundle.js", "swagger-ui.css")


@dataclass(frozen=True)
class Asset:
    """One file's bytes, plain and as gzip, and its media type."""

    plain: bytes
    zipped: bytes
    media: str


@cache
def assets() -> dict[str, Asset]:
    """All of them by name; a folder within ours is part of the name."""
    found = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in MEDIA
    }
    swagger = files("fastapi_offline") / "static"
    found |= {name: (swagger / name).read_bytes() for name in SWAGGER}
    return {name: _asset(name, content) for name, content in found.items()}


@cache
def digest() -> str:
    """Of all together: modules import each other by relative names, so they change as one."""
    whole = hashlib.sha256()
    for name, asset in sorted(assets().items()):
        whole.update(f"{name}\0{hashlib.sha256(asset.plain).hexdigest()}\n".encode())
    return whole.hexdigest()[:16]


def _asset(name: str, content: bytes) -> Asset:
    return Asset(content, gzip.compress(content, 6, mtime=0), MEDIA[Path(name).suffix])
