"""What lies in an uploaded dataset: some of its pictures, the ones there twice, the broken ones."""

import io
import time
import zipfile
from collections import defaultdict
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Query, Response
from PIL import Image
from pydantic import BaseModel, Field

from app.auth.scopes import needs
from app.http.query_string import Only
from app.state import Services, services
from models.datasets import archive, catalogue
from models.datasets.images import BrokenImage, is_image_name, read_square
from models.errors import UnknownDataset

router = APIRouter(prefix="/datasets", tags=["datasets"], dependencies=[needs("read")])
Held = Annotated[Services, Depends(services)]
MOST_TOLD = 50  # groups of duplicates, and broken pictures
LOOKING = 3.0  # s; some thousand small pictures, or a hundred large ones


class Broken(BaseModel):
    """A picture that training will leave out, and why."""

    name: str
    reason: str


class Contents(BaseModel):
    """What a look into the zip tells."""

    images: int
    duplicates: int = Field(description="Pictures whose very bytes an earlier one has.")
    groups: list[list[str]] = Field(description="The first of them by name, those alike together.")
    looked: int = Field(description="Pictures that were decoded, the first by name.")
    broken: int = Field(description="Of those, the ones that training will leave out.")
    broken_first: list[Broken]


@router.get(
    "/{name}/contents", dependencies=[Depends(Only())], summary="What is wrong in a dataset"
)
def contents(held: Held, name: str) -> Contents:
    """Duplicates by the sums in the zip's own list, broken ones by a look; a 404 for `starter`."""
    path = _zip(held, name)
    looked, broken = _look(path)
    alike = defaultdict(list)
    with zipfile.ZipFile(path) as opened:
        pictures = [item for item in opened.infolist() if is_image_name(item.filename)]
    for item in pictures:
        alike[item.CRC, item.file_size].append(item.filename)
    groups = [sorted(group) for group in alike.values() if len(group) > 1]
    return Contents(
        images=len(pictures),
        duplicates=sum(len(group) - 1 for group in groups),
        groups=sorted(groups)[:MOST_TOLD],
        looked=looked,
        broken=len(broken),
        broken_first=broken[:MOST_TOLD],
    )


@lru_cache(256)  # the file is named by its content
def _look(path: Path) -> tuple[int, list[Broken]]:
    """Decode pictures for a while: how many, and which of them cannot be."""
    ends, looked, broken = time.monotonic() + LOOKING, 0, []
    for name, data in archive.members(path):
        try:
            read_square(data, 16)
        except BrokenImage as found:
            broken.append(Broken(name=name, reason=found.reason))
        looked += 1
        if time.monotonic() > ends:
            break
    return looked, broken


@router.get(
    "/{name}/preview.webp",
    dependencies=[Depends(Only("count", "columns", "size"))],
    response_class=Response,
    responses={200: {"content": {"image/webp": {}}}},
    summary="Some of a dataset's pictures",
)
def preview(
    held: Held,
    name: str,
    count: Annotated[int, Query(ge=1, le=96)] = 24,
    columns: Annotated[int, Query(ge=1, le=24)] = 8,
    size: Annotated[int, Query(ge=16, le=128, description="A picture's side, pixels.")] = 64,
) -> Response:
    """The first by name, as training crops them; a cross where one cannot be decoded."""
    tiles = []
    for _, data in islice(archive.members(_zip(held, name)), count):
        try:
            tiles.append(read_square(data, size))
        except BrokenImage:
            tiles.append(_cross(size))
    columns = min(columns, len(tiles))
    sheet = np.zeros((-(-len(tiles) // columns) * size, columns * size, 3), np.uint8)
    for place, tile in enumerate(tiles):
        top, left = place // columns * size, place % columns * size
        sheet[top : top + size, left : left + size] = tile
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "WEBP", quality=80)
    headers = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
    return Response(file.getvalue(), headers=headers, media_type="image/webp")


def _zip(held: Services, name: str) -> Path:
    if name in catalogue.BUILT_IN:
        raise UnknownDataset(name)  # drawn by the worker, so there is no zip to look into
    row = catalogue.get(held.database, name)
    return catalogue.fetch(held.settings, row["digest"])


def _cross(size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    line = np.eye(size, dtype=bool)
    tile = np.full((size, size, 3), 230, np.uint8)
    tile[line | line[::-1]] = (191, 52, 32)
    return tile
