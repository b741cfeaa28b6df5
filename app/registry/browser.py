"""What a browser needs to draw a model's faces itself: a manifest, and the files that it names."""

import hashlib
import re
from collections.abc import Mapping

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from app.auth.scopes import needs
from app.headers import NO_SNIFF, SHARED
from app.http.cache_headers import IMMUTABLE, MUTABLE
from app.http.content_encoding import encode_content
from app.http.query_string import Only
from app.local import model_packing
from app.local.packed_files import PackedFile
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
# 0.8 % less than gzip at the time of gzip. 11 would save 1.3 % and take 2.4 s of the first request.
BROTLI_QUALITY = 9
UNITS = 20.0  # that the rate limit charges for packing a MiB: 0.2 s of a core


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


@router.get(
    "/{name}/browser.json",
    responses={404: {"description": "There is no such model, or it is too large for browsers."}},
    summary="What a browser needs to draw a model's faces",
)
async def manifest(request: Request, state: State, response: Response, name: str) -> BrowserModel:
    """The files with their digests, and how latents become styles (`docs/seeds.md`)."""
    row = await run_in_threadpool(state.registry.get, name)
    version = row["version"]
    names = [each for each in FILES if each in await _digests(state, version)]
    files = {each: await _packed_file(request, state, version, each) for each in names}
    caching = IMMUTABLE if name == version else MUTABLE
    response.headers.update({**SHARED, **NO_SNIFF, "Cache-Control": caching})
    return describe(files, version, Card.model_validate(row["card"]))


@router.get(
    "/{version}/browser/{name}",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}},
        404: {"description": "There is no such file; the manifest has those that exist."},
    },
    summary="One of the files that the manifest names",
)
async def packed_file(request: Request, state: State, version: str, name: str) -> Response:
    """Packed as `app/local/model_packing.py` says; immutable. Takes full versions alone."""
    known_version = await run_in_threadpool(state.registry.resolve, version)
    if name not in FILES or known_version != version:
        raise HTTPException(404, "This file is not one that a browser's manifest names.")
    if name not in await _digests(state, version):
        raise HTTPException(404, f"This model has no {name}.")
    file = await _packed_file(request, state, version, name)
    body, headers = file.content.choose(request.headers.get("accept-encoding", ""))
    headers |= {**SHARED, **NO_SNIFF, "Cache-Control": IMMUTABLE}
    return Response(body, headers=headers, media_type="application/octet-stream")


def describe(files: Mapping[str, PackedFile], version: str, card: Card) -> BrowserModel:
    """The manifest of a bundle with these files."""
    return BrowserModel(
        version=version,
        seed_specification=card.seed_specification,
        network=card.network.model_dump(include={"resolution", "latent", "style", "layers"}),
        truncation=card.truncation,
        psi=card.psi,
        attributes=card.attributes,
        sliders=[slider.name for slider in card.sliders],
        enlarger_scale=card.enlarger.scale if card.enlarger else 0,
        files={name: _describe_file(name, file, version) for name, file in files.items()},
    )


def _describe_file(name: str, file: PackedFile, version: str) -> BrowserFile:
    return BrowserFile(
        url=f"../{version}/browser/{name}",
        bytes=file.size,
        sha256=file.sha256,
        packed_bytes=len(file.content.plain),
        gzip_bytes=len(file.content.by_coding["gzip"]),
        brotli_bytes=len(file.content.by_coding["br"]),
    )


async def _digests(state: AppState, version: str) -> dict[str, str]:
    return await run_in_threadpool(state.registry.files.digests, version)


async def _packed_file(request: Request, state: AppState, version: str, name: str) -> PackedFile:
    """A packed file, from memory or packed now, which is charged.

    Raises HTTPException for a file that is too large, BadBundle, TooManyRequests.
    """
    files = state.packed_files
    if (file := files.get(version, name)) is not None:
        return file
    size = await run_in_threadpool(_size, state, version, name)
    await state.limiter.charge_pictures(request, max(1, round(size / 2**20 * UNITS)))
    async with files.packing:
        # Another request may have packed it in the meantime.
        file = files.get(version, name)
        if file is None:
            file = await run_in_threadpool(_read_and_pack, state, version, name)
            files.add(version, name, file)
    return file


def _size(state: AppState, version: str, name: str) -> int:
    try:
        size = (state.registry.folder(version) / name).stat().st_size
    except OSError:
        return 0  # `_read_and_pack` replaces it, or says what is wrong
    if size > LARGEST:
        raise HTTPException(404, f"{name} of this model is too large for browsers.")
    return size


def _read_and_pack(state: AppState, version: str, name: str) -> PackedFile:
    content = state.registry.files.read(version, name)
    assert content is not None  # its digest is known
    return pack(name, content)


def pack(name: str, original: bytes) -> PackedFile:
    """Pack and compress a file; a version's files never change."""
    content = encode_content(model_packing.pack(name, original), BROTLI_QUALITY)
    return PackedFile(content, len(original), hashlib.sha256(original).hexdigest())
