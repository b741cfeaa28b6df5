"""`POST /avatars`: many faces in one answer, one at a time, so that others are served meanwhile."""

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.avatars.bulk import request as batch
from app.avatars.bulk.distinct import Team
from app.avatars.bulk.request import Batch
from app.avatars.cache import http_headers
from app.avatars.generate.engine import Engine
from app.avatars.request.picture_request import Asked
from app.avatars.request.picture_types import AVATAR
from app.avatars.service import cost, drawn
from app.state import Services
from models.bundle.generator import Drawer
from models.errors import Overloaded

T = TypeVar("T")
Faces = AsyncIterator[tuple[Asked, bytes]]

PAUSE = 0.2  # s before a face that found the queue full asks again
ZIP, NDJSON = "application/zip", "application/x-ndjson"
EXAMPLE = {"seeds": ["ada", "grace", "edsger"], "size": 128, "distinct": True}
_JSON = {"application/json": {"schema": batch.BODY, "example": EXAMPLE}}

DOCUMENTED: dict[str, Any] = {
    "summary": "Many faces in one answer",
    "description": "A ZIP with an `index.json`, or one line of JSON a face (`Accept: "
    "application/x-ndjson`), sent as they are drawn. `distinct` keeps them apart.",
    "response_class": Response,
    "responses": {200: {"description": "The faces.", "content": {ZIP: {}, NDJSON: {}}}},
    "openapi_extra": {"requestBody": {"required": True, "content": _JSON}},
}


async def answer(request: Request) -> Response:
    """A ZIP, or lines of JSON where Accept says so. Raises what a single avatar does."""
    held: Services = request.app.state.services
    wanted = batch.read(await batch.body(request))
    if held.batches.locked():
        raise Overloaded("Too many batches are being drawn; try again in a second.")
    version = await held.engine.resolve(wanted.faces[0].model)
    drawer = await held.engine.drawer(version)
    wanted = Batch([face.of(drawer.card) for face in wanted.faces], wanted.distinct)
    told = await held.limiter.draw(request, sum(map(cost, wanted.faces)))
    lines = NDJSON in request.headers.get("accept", "")
    write = _lines if lines else _zip
    faces = _faces(held, version, drawer, wanted)
    headers = {
        **told,
        "X-Avatar-Model": version,
        "Cache-Control": http_headers.NEVER,
        "Vary": "Accept",
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Allow-Origin": "*",
    }
    if not lines:
        headers["Content-Disposition"] = 'attachment; filename="avatars.zip"'
    # What this model refuses is refused before the answer begins: after it nothing can be said.
    first = await anext(faces)
    stream = write(_after(first, faces), len(wanted.faces), version)
    return StreamingResponse(stream, headers=headers, media_type=NDJSON if lines else ZIP)


async def _faces(held: Services, version: str, drawer: Drawer, wanted: Batch) -> Faces:
    team = Team(drawer, wanted.faces[0].values)
    async with held.batches:
        for face in wanted.faces:
            if wanted.distinct:
                yield await _patient(partial(_apart, held.engine, team, version, face))
            else:
                yield face, await _patient(partial(drawn, held.engine, version, face))


async def _after(first: tuple[Asked, bytes], faces: Faces) -> Faces:
    yield first
    async for face in faces:
        yield face


async def _apart(engine: Engine, team: Team, version: str, face: Asked) -> tuple[Asked, bytes]:
    def draw() -> tuple[Asked, bytes]:
        variant, pixels = team.add(str(face.seed))
        chosen = Asked(AVATAR, {**face.values, "variant": variant})
        stamp = chosen.stamp(version)
        return chosen, AVATAR.complete(pixels[None], chosen.values, team.drawer, stamp)

    return await engine.run(draw)


async def _patient(draw: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await draw()
        except Overloaded:  # single faces go first
            await asyncio.sleep(PAUSE)


async def _lines(faces: Faces, count: int, version: str) -> AsyncIterator[bytes]:
    done = 0
    async for face, body in faces:
        done += 1
        fields = {"done": done, "of": count, **_told(face, version), "type": face.media}
        fields["content"] = base64.b64encode(body).decode()
        yield json.dumps(fields).encode() + b"\n"


async def _zip(faces: Faces, count: int, version: str) -> AsyncIterator[bytes]:
    """Entries as they are made, without compression; `index.json` last."""
    sink = _Sink()
    told: dict[str, Any] = {}
    with zipfile.ZipFile(sink, "w") as archive:
        async for face, body in faces:
            name = f"{len(told):04}.{face.values['format']}"
            # A fixed date, so that the same batch is the same bytes.
            archive.writestr(zipfile.ZipInfo(name), body)
            told[name] = _told(face, version)
            yield sink.taken()
        archive.writestr(zipfile.ZipInfo("index.json"), json.dumps(told, indent=1))
    yield sink.taken()


def _told(face: Asked, version: str) -> dict[str, Any]:
    return {"seed": face.seed, "variant": face.values["variant"], "address": face.address(version)}


class _Sink(io.RawIOBase):
    """A file that only goes forward, emptied as it fills."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last time."""
        taken = bytes(self._held)
        self._held.clear()
        return taken
