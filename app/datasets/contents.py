"""The contents of an uploaded dataset: a preview, duplicates, broken pictures."""

import io
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from PIL import Image

from app.auth.scopes import needs
from app.datasets.schemas import Contents, Exclusion, LeftOut
from app.headers import NO_SNIFF
from app.http.disconnects import cancel_on_disconnect
from app.http.query_string import Only
from app.state import AppState, State
from models.datasets import archive, catalogue
from models.datasets.archive_entries import entry_name
from models.datasets.catalogue import Row
from models.datasets.exclusions import EXAMPLES, Reason
from models.datasets.images import BrokenImage, read_square
from models.errors import DatasetError, UnknownDataset
from models.settings import Settings

T = TypeVar("T")

router = APIRouter(prefix="/datasets", tags=["datasets"], dependencies=[needs("read")])
MAX_LISTED = 50  # groups of duplicates, and broken pictures
DECODE_SECONDS = 3.0  # enough for some thousand small pictures, or a hundred large ones


@router.get("/{name}/contents", dependencies=[Depends(Only())], summary="Check a dataset")
async def contents(state: State, request: Request, name: str) -> Contents:
    """Duplicates by the checksums in the zip, broken pictures by decoding. 404 for `starter`."""
    row, path = await run_in_threadpool(_upload, state, name)
    reasons, _ = await run_in_threadpool(catalogue.report_of, state.settings, row)
    return await _decode(state, request, name, partial(_inspect, path, reasons))


def _inspect(path: Path, reasons: list[Reason]) -> Contents:
    count, broken_images = _find_broken(path)
    names_by_content = defaultdict(list)
    names = frozenset(archive.listing(path).pictures)
    with zipfile.ZipFile(path) as archive_file:
        pictures = [item for item in archive_file.infolist() if entry_name(item) in names]
    for item in pictures:
        names_by_content[item.CRC, item.file_size].append(entry_name(item))
    groups = sorted(sorted(names) for names in names_by_content.values() if len(names) > 1)
    return Contents(
        images=len(pictures),
        duplicates=sum(len(group) - 1 for group in groups),
        groups=[group[:EXAMPLES] for group in groups[:MAX_LISTED]],
        looked=count,
        broken=len(broken_images),
        broken_first=broken_images[:MAX_LISTED],
        left_out=[LeftOut(**asdict(reason)) for reason in reasons],
    )


@lru_cache(256)  # the name of the file is the digest of its content
def _find_broken(path: Path) -> tuple[int, list[Exclusion]]:
    """Decode pictures for DECODE_SECONDS: how many, and those that cannot be decoded."""
    deadline, count, broken_images = time.monotonic() + DECODE_SECONDS, 0, []
    for name, data in archive.members(path):
        try:
            read_square(archive.content_of(data), 16)
        except BrokenImage as error:
            broken_images.append(Exclusion(name=name, reason=error.reason))
        count += 1
        if time.monotonic() > deadline:
            break
    return count, broken_images


@router.get(
    "/{name}/preview.webp",
    dependencies=[Depends(Only("count", "columns", "size", "label", "value"))],
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}},
    summary="Preview a dataset",
)
async def preview(
    state: State,
    request: Request,
    name: str,
    count: Annotated[int, Query(ge=1, le=96)] = 24,
    columns: Annotated[int, Query(ge=1, le=24)] = 8,
    size: Annotated[int, Query(ge=16, le=128, description="Side of a picture, pixels.")] = 64,
    label: Annotated[str | None, Query(description="Only pictures with `value` of this.")] = None,
    value: Annotated[str, Query(description="A value of `label`.")] = "",
) -> Response:
    """Its first pictures by name, cropped as for training; a cross where one is broken."""
    row, path = await run_in_threadpool(_upload, state, name)
    only = None
    if label is not None:
        only = await run_in_threadpool(_examples, state.settings, row, label, value, count)
    work = partial(_preview, path, count, columns, size, only)
    content = await _decode(state, request, name, work)
    headers = {"Cache-Control": "private, no-cache", **NO_SNIFF}
    return Response(content, headers=headers, media_type="image/webp")


async def _decode(state: AppState, request: Request, name: str, work: Callable[[], T]) -> T:
    """Call `work` in a thread when it is the client's turn, unless the client leaves before.

    name: the dataset's, which may be deleted meanwhile. Raises Overloaded, ClientDisconnect,
    UnknownDataset.
    """

    async def take_turn() -> T:
        async with state.decodes.take(state.limiter.client(request)):
            try:
                return await run_in_threadpool(work)
            except FileNotFoundError:
                raise UnknownDataset(name) from None

    return await cancel_on_disconnect(request, take_turn())


def _examples(settings: Settings, row: Row, label: str, value: str, count: int) -> frozenset[str]:
    """The names of pictures with a value. Raises DatasetError where there is none."""
    names = frozenset(catalogue.examples(settings, row, label, value, count))
    if not names:
        raise DatasetError(f"No picture has {value[:80]!r} as its {label!r}.")
    return names


@lru_cache(512)  # 30 MB at most; the name of the file is the digest of its content
def _preview(
    path: Path, count: int, columns: int, size: int, only: frozenset[str] | None = None
) -> bytes:
    """A WebP of the first `count` pictures (of `only`) in rows, each `size` pixels square.

    Places without a picture are transparent: the page's colour.
    """
    tiles = []
    for _, data in islice(archive.members(path, only=only), count):
        try:
            tiles.append(read_square(archive.content_of(data), size))
        except BrokenImage:
            tiles.append(_cross(size))
    columns = min(columns, len(tiles))
    sheet = np.zeros((-(-len(tiles) // columns) * size, columns * size, 4), np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * size, index % columns * size
        sheet[top : top + size, left : left + size, :3] = tile
        sheet[top : top + size, left : left + size, 3] = 255
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "WEBP", quality=80)
    return file.getvalue()


def _upload(state: AppState, name: str) -> tuple[Row, Path]:
    """An uploaded set's row and its zip. Reads the database, so no event loop may call it."""
    if name in catalogue.BUILT_IN:
        raise UnknownDataset(
            name, f"{name!r} is drawn for each run, so it has no preview and no contents."
        )
    row = catalogue.get(state.database, name)
    return row, catalogue.fetch(state.settings, row["digest"])


def _cross(size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """A red diagonal cross, (size, size, 3)."""
    line = np.eye(size, dtype=bool)
    tile = np.full((size, size, 3), 230, np.uint8)
    tile[line | line[::-1]] = (191, 52, 32)
    return tile
