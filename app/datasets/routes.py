"""Datasets over HTTP: what can be trained on."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from app.auth.scopes import needs
from app.datasets.uploads import received
from app.http.query_string import Only
from app.state import Services, services
from models.datasets import archive, catalogue, quotas

router = APIRouter(prefix="/datasets", tags=["datasets"])
Held = Annotated[Services, Depends(services)]


class Dataset(BaseModel):
    """A set of pictures; `starter` is drawn by us, so it has no size of its own."""

    name: str = Field(examples=["faces"])
    licence: str = Field(examples=["CC0-1.0"])
    images: int | None
    bytes: int | None
    digest: str | None
    uploaded: str | None


class Datasets(BaseModel):
    """`starter`, then the uploaded ones by name."""

    datasets: list[Dataset]


STARTER = Dataset(
    name=catalogue.STARTER,
    licence="CC0-1.0 (Lorelei by Lisa Wischofsky, recoloured)",
    images=None,
    bytes=None,
    digest=None,
    uploaded=None,
)
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A zip of pictures: PNG, JPEG, WebP, GIF, BMP or AVIF, of any size.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("", dependencies=[needs("read"), Depends(Only())], summary="The datasets")
def listed(held: Held) -> Datasets:
    """What a recipe's `dataset` may name."""
    rows = catalogue.list_datasets(held.database)
    return Datasets(datasets=[STARTER, *(Dataset(**row) for row in rows)])


@router.post(
    "",
    status_code=201,
    dependencies=[needs("datasets"), Depends(Only("name", "licence"))],
    openapi_extra=_BODY,
    responses={200: {"model": Dataset, "description": "The same set was there already."}},
    summary="Upload a zip of pictures",
)
async def upload(
    held: Held,
    request: Request,
    response: Response,
    name: Annotated[str, Query(description="1 to 63 of a-z, 0-9, _ and -.", examples=["faces"])],
    licence: Annotated[
        str,
        Query(min_length=1, max_length=catalogue.LONGEST_LICENCE, examples=["CC0-1.0"]),
    ] = "unstated",
) -> Dataset:
    """The body is the zip itself: `curl --data-binary @faces.zip …`, streamed to disk."""
    catalogue.check_name(name)
    key = request.state.key.id
    room = await run_in_threadpool(quotas.room, held.database, held.settings, key)
    async with received(request, held.settings, room) as path:
        async with held.checks:
            report = await run_in_threadpool(archive.check, path, look=True)
        row, new = await run_in_threadpool(
            lambda: catalogue.add(
                held.database,
                held.settings,
                path,
                name=name,
                licence=licence,
                report=report,
                key=key,
            )
        )
    response.status_code = 201 if new else 200
    response.headers["Location"] = "/datasets"
    return Dataset(**row)


@router.delete(
    "/{name}",
    status_code=204,
    dependencies=[needs("datasets"), Depends(Only())],
    summary="Forget a dataset",
)
def delete(held: Held, name: str) -> None:
    """409 while a run that waits or runs still needs it."""
    if name in catalogue.BUILT_IN:
        catalogue.check_name(name)
    catalogue.delete(held.database, held.settings, name)
