"""Datasets over HTTP: list, upload, delete."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from app.auth.scopes import needs
from app.datasets.schemas import (
    STARTER,
    Datasets,
    Details,
    Label,
    Uploaded,
    labels_of,
    report,
    with_starter,
)
from app.http.query_string import Only
from app.state import State
from app.uploads import receive
from models.datasets import archive, catalogue, quotas
from models.datasets.exclusions import summarise
from models.datasets.images import FORMAT_NAMES
from models.datasets.near_duplicates import NearDuplicates

router = APIRouter(prefix="/datasets", tags=["datasets"])

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"A zip of pictures: {FORMAT_NAMES}, of any size.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("", dependencies=[needs("read"), Depends(Only())], summary="List the datasets")
def list_datasets(state: State) -> Datasets:
    """The values of a recipe's `dataset`."""
    return Datasets(datasets=with_starter(catalogue.list_datasets(state.database)))


@router.post(
    "",
    status_code=201,
    dependencies=[needs("datasets"), Depends(Only("name", "licence", "strict"))],
    openapi_extra=_BODY,
    responses={200: {"model": Uploaded, "description": "The same set exists already."}},
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
    strict: Annotated[
        bool, Query(description="Refuse the zip for one picture that cannot be read.")
    ] = False,
) -> Uploaded:
    """The body is the zip itself: `curl --data-binary @faces.zip …`, streamed to disk.

    What cannot be used is left out, counted by reason and named in the answer.
    """
    catalogue.check_name(name)
    key = request.state.key.id
    room = await run_in_threadpool(quotas.room, state.database, state.settings, key)
    async with receive(request, state, room) as path:
        async with state.checks:
            archive_report = await run_in_threadpool(
                archive.check, path, decode=True, strict=strict
            )
        row, is_new = await run_in_threadpool(
            lambda: catalogue.add(
                state.database,
                state.settings,
                path,
                name=name,
                licence=licence,
                report=archive_report,
                key=key,
            )
        )
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/datasets/{name}"
    return Uploaded(
        **row, **report(summarise(archive_report.left_out), archive_report.near_duplicates)
    )


@router.get(
    "/{name}",
    dependencies=[needs("read"), Depends(Only())],
    summary="One dataset, its labels, and what is left out of it",
)
def show(state: State, name: str) -> Details:
    """Labels with the number of pictures of each value; `/contents` has the broken pictures.

    For `starter`, whose pictures are drawn, the labels' names alone.
    """
    if name in catalogue.BUILT_IN:
        starter = STARTER.model_copy(update={"name": name}).model_dump()
        labels = [Label(name=each, column=each, values={}) for each in catalogue.STARTER_ATTRIBUTES]
        nothing = report([], NearDuplicates())
        return Details(**starter, **nothing, labels=labels, numbers=[], labels_left_out=[])
    row = catalogue.get(state.database, name)
    table = catalogue.label_table(state.settings, row)
    return Details(
        **row,
        **report(*catalogue.report_of(state.settings, row)),
        **labels_of(table),
    )


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
