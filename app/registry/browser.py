"""What a browser needs to draw a model's faces itself: a manifest, and the files that it names."""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from app.auth.scopes import needs
from app.avatars.cache.http_headers import IMMUTABLE, MUTABLE
from app.headers import NO_SNIFF, SHARED
from app.http.content_encoding import EncodedContent, encode_content
from app.http.query_string import Only
from app.registry import packing
from app.state import AppState, State
from models.bundle import ENLARGER, MAPPING, SYNTHESIS, TRAITS, WEIGHTS, Card
from models.faces.attributes import Attribute

router = APIRouter(
    prefix="/models", tags=["models"], dependencies=[needs("avatars"), Depends(Only())]
)

# Of the routes below, from which pages of other sites draw.
PATHS = re.compile(r"/models/[^/]+/browser(\.json|/.+)")
FILES = (WEIGHTS, MAPPING, SYNTHESIS, ENLARGER, TRAITS)
LARGEST = 64 * 2**20  # bytes of a file; a model with a larger one is drawn by the server alone
MOST_PACKED = 16  # files in memory; a model has five, of 2 to 6 MB together
# 0.8 % less than gzip at the time of gzip. 11 would save 1.3 % and take 2.4 s of the first request.
BROTLI_QUALITY = 9


class BrowserFile(BaseModel):
    """One file of a bundle. `bytes` and `sha256` are of the file as it is after unpacking."""

    url: str = Field(description="Relative to the manifest.")
    bytes: int
    sha256: str
    packed_bytes: int
    gzip_bytes: int = Field(description="What travels to a client that accepts gzip.")
    brotli_bytes: int = Field(description="What travels to a client that accepts brotli.")


class BrowserModel(BaseModel):
    """Everything that drawing needs, and nothing that it does not."""

    format: int = 1
    version: str
    seed_specification: int
    network: dict[str, int]
    truncation: str
    psi: float = Field(description="Of a request that names none.")
    attributes: list[Attribute]
    sliders: list[str]
    enlarger_scale: int = Field(description="0: the model has no enlarger.")
    files: dict[str, BrowserFile]


@dataclass(frozen=True)
class PackedFile:
    """A file as it travels, and the original's size and SHA-256."""

    content: EncodedContent
    size: int
    sha256: str


@router.get(
    "/{name}/browser.json",
    responses={404: {"description": "There is no such model, or it is too large for browsers."}},
    summary="What a browser needs to draw a model's faces",
)
def manifest(state: State, response: Response, name: str) -> BrowserModel:
    """The files with their digests, and how latents become styles (`docs/seeds.md`)."""
    version = state.registry.resolve(name)
    card = Card.model_validate(state.registry.get(version)["card"])
    folder = state.registry.fetch(version)
    caching = IMMUTABLE if name == version else MUTABLE
    response.headers.update({**SHARED, **NO_SNIFF, "Cache-Control": caching})
    return describe(folder, version, card)


@router.get(
    "/{version}/browser/{name}",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}},
        404: {"description": "There is no such file; the manifest has those that exist."},
    },
    summary="One of the files that the manifest names",
)
def packed_file(request: Request, state: State, version: str, name: str) -> Response:
    """Packed as `app/registry/packing.py` says; immutable. Takes full versions alone."""
    path = _path(state, version, name)
    file = _pack(path)
    body, headers = file.content.choose(request.headers.get("accept-encoding", ""))
    headers |= {**SHARED, **NO_SNIFF, "Cache-Control": IMMUTABLE}
    return Response(body, headers=headers, media_type="application/octet-stream")


def describe(folder: Path, version: str, card: Card) -> BrowserModel:
    """The manifest of a bundle's folder. Raises HTTPException for one that is too large."""
    names = [name for name in FILES if (folder / name).exists()]
    return BrowserModel(
        version=version,
        seed_specification=card.seed_specification,
        network=card.network.model_dump(include={"resolution", "latent", "style", "layers"}),
        truncation=card.truncation,
        psi=card.psi,
        attributes=card.attributes,
        sliders=[slider.name for slider in card.sliders],
        enlarger_scale=card.enlarger.scale if card.enlarger else 0,
        files={name: _describe_file(folder / name, version) for name in names},
    )


def _path(state: AppState, version: str, name: str) -> Path:
    if name not in FILES or state.registry.resolve(version) != version:
        raise HTTPException(404, "This file is not one that a browser's manifest names.")
    path = state.registry.fetch(version) / name
    if not path.exists():
        raise HTTPException(404, f"This model has no {name}.")
    return path


def _describe_file(path: Path, version: str) -> BrowserFile:
    file = _pack(path)
    return BrowserFile(
        url=f"../{version}/browser/{path.name}",
        bytes=file.size,
        sha256=file.sha256,
        packed_bytes=len(file.content.plain),
        gzip_bytes=len(file.content.by_coding["gzip"]),
        brotli_bytes=len(file.content.by_coding["br"]),
    )


@lru_cache(MOST_PACKED)
def _pack(path: Path) -> PackedFile:
    """Read, pack and compress a file; a version's files never change."""
    if path.stat().st_size > LARGEST:
        raise HTTPException(404, f"{path.name} of this model is too large for browsers.")
    original = path.read_bytes()
    content = encode_content(packing.pack(path.name, original), BROTLI_QUALITY)
    return PackedFile(content, len(original), hashlib.sha256(original).hexdigest())
