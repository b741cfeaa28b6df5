"""Datasets over HTTP: what can be trained on."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from app.auth.scopes import needs
from app.datasets.uploads import received
from app.http.query_string import Only
from app.state import Services, services
from models.datasets import archive, catalogue, quotas
from models.datasets.listing import summarise

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


class LeftOut(BaseModel):
    """Files of the zip that training does not use."""

    reason: str = Field(examples=["HEIC is not read"])
    count: int
    examples: list[str] = Field(description="The first of them by name.")


class Label(BaseModel):
    """What a recipe's `labels` may name, and how many pictures have each value."""

    name: str = Field(examples=["hair_colour"])
    values: dict[str, int]


class Column(BaseModel):
    """A column of the set's labels that cannot be trained on, and why."""

    name: str
    reason: str = Field(examples=["numbers"])


class Uploaded(Dataset):
    """An uploaded set, and what is left out of it."""

    left_out: list[LeftOut]


class Details(Uploaded):
    """A set with its labels."""

    labels: list[Label]
    labels_left_out: list[Column]


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
    dependencies=[needs("datasets"), Depends(Only("name", "licence", "strict"))],
    openapi_extra=_BODY,
    responses={200: {"model": Uploaded, "description": "The same set was there already."}},
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
    strict: Annotated[
        bool, Query(description="Refuse the zip for one picture that cannot be read.")
    ] = False,
) -> Uploaded:
    """The body is the zip itself: `curl --data-binary @faces.zip …`, streamed to disk.

    What cannot be used is left out, counted by reason and named in the answer.
    """
    catalogue.check_name(name)
    key = request.state.key.id
    room = await run_in_threadpool(quotas.room, held.database, held.settings, key)
    async with received(request, held.settings, room) as path:
        async with held.checks:
            report = await run_in_threadpool(archive.check, path, look=True, strict=strict)
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
    response.headers["Location"] = f"/datasets/{name}"
    return Uploaded(**row, left_out=_left_out(report.left_out))


@router.get(
    "/{name}",
    dependencies=[needs("read"), Depends(Only())],
    summary="One dataset, its labels, and what is left out of it",
)
def show(held: Held, name: str) -> Details:
    """Labels with the number of pictures of each value; `/contents` has the broken pictures.

    For `starter`, whose pictures are drawn, the labels' names alone.
    """
    if name in catalogue.BUILT_IN:
        drawn = STARTER.model_copy(update={"name": name}).model_dump()
        named = [Label(name=each, values={}) for each in catalogue.STARTER_ATTRIBUTES]
        return Details(**drawn, left_out=[], labels=named, labels_left_out=[])
    row = catalogue.get(held.database, name)
    table = catalogue.label_table(held.settings, row)
    listing = archive.listing(catalogue.fetch(held.settings, row["digest"]))
    counts = table.counts()
    return Details(
        **row,
        left_out=_left_out(listing.left_out),
        labels=[Label(name=each, values=values) for each, values in counts.items()],
        labels_left_out=[Column(name=each.name, reason=each.reason) for each in table.left_out],
    )


def _left_out(files: list[tuple[str, str]]) -> list[LeftOut]:
    return [LeftOut(**asdict(reason)) for reason in summarise(files)]


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
