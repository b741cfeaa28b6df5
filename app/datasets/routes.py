"""Datasets over HTTP: list, upload, delete."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from app.auth.scopes import needs
from app.datasets.schemas import STARTER, Dataset, Datasets
from app.datasets.uploads import receive
from app.http.query_string import Only
from app.state import State
from models.datasets import archive, catalogue, quotas

router = APIRouter(prefix="/datasets", tags=["datasets"])

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A zip of pictures: PNG, JPEG, WebP, GIF, BMP or AVIF, of any size.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("", dependencies=[needs("read"), Depends(Only())], summary="List the datasets")
def list_datasets(state: State) -> Datasets:
    """The values of a recipe's `dataset`."""
    rows = catalogue.list_datasets(state.database)
    return Datasets(datasets=[STARTER, *(Dataset(**row) for row in rows)])


@router.post(
    "",
    status_code=201,
    dependencies=[needs("datasets"), Depends(Only("name", "licence"))],
    openapi_extra=_BODY,
    responses={200: {"model": Dataset, "description": "The same set exists already."}},
    summary="Upload a zip of pictures",
)
async def upload(
    state: State,
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
    room = await run_in_threadpool(quotas.room, state.database, state.settings, key)
    async with receive(request, state.settings, room) as path:
        async with state.checks:
            report = await run_in_threadpool(archive.check, path, look=True)
        row, is_new = await run_in_threadpool(
            lambda: catalogue.add(
                state.database,
                state.settings,
                path,
                name=name,
                licence=licence,
                report=report,
                key=key,
            )
        )
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = "/datasets"
    return Dataset(**row)


@router.delete(
    "/{name}",
    status_code=204,
    dependencies=[needs("datasets"), Depends(Only())],
    summary="Delete a dataset",
)
def delete(state: State, name: str) -> None:
    """409 while a queued or running run needs it."""
    if name in catalogue.BUILT_IN:
        catalogue.check_name(name)
    catalogue.delete(state.database, state.settings, name)
