"""Answers `POST /avatars`: many faces, rendered one at a time so that single faces go first."""

import asyncio
import base64
import io
import json
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.avatars import service, traits
from app.avatars.bulk.distinct import Team
from app.avatars.bulk.request import SCHEMA, BulkRequest, parse_body, read_body
from app.avatars.cache import http_headers
from app.avatars.encode.provenance import Words
from app.avatars.generate.engine import Engine
from app.avatars.generate.faces import enlarge
from app.avatars.request.picture_request import PictureRequest
from app.avatars.state import PictureState, get_picture_state
from models.bundle.generator import Drawer
from models.errors import Overloaded

log = structlog.get_logger()
T = TypeVar("T")
Faces = AsyncIterator[tuple[PictureRequest, bytes, Words]]

RETRY_INTERVAL = 0.2  # s before a face that found the queue full is tried again
LIFETIME = 900.0  # s for a whole batch; the largest takes a quarter of it on one core
ZIP, NDJSON = "application/zip", "application/x-ndjson"
EXAMPLE = {"seeds": ["ada", "grace", "edsger"], "size": 128, "distinct": True}
_JSON = {"application/json": {"schema": SCHEMA, "example": EXAMPLE}}

OPENAPI: dict[str, Any] = {
    "summary": "Many faces in one response",
    "description": "A ZIP with an `index.json`, or one line of JSON per face (`Accept: "
    "application/x-ndjson`), streamed while the faces are drawn. `distinct` replaces similar "
    "faces by variants.",
    "response_class": Response,
    "responses": {200: {"description": "The faces.", "content": {ZIP: {}, NDJSON: {}}}},
    "openapi_extra": {"requestBody": {"required": True, "content": _JSON}},
}


async def respond(request: Request) -> Response:
    """A ZIP, or lines of JSON where Accept says so. Raises the same errors as a single avatar."""
    state = get_picture_state(request)
    bulk = parse_body(await read_body(request))
    client = state.limiter.client(request)
    state.batches.check(client)
    version = await state.engine.resolve(bulk.faces[0].model)
    drawer = await state.engine.drawer(version)
    bulk = replace(bulk, faces=[traits.resolve(face, drawer.card) for face in bulk.faces])
    units = sum(state.engine.estimate(version, face).units for face in bulk.faces)
    limits = await state.limiter.charge_pictures(request, units)
    is_ndjson = NDJSON in request.headers.get("accept", "")
    headers = {
        **limits,
        "X-Avatar-Model": version,
        "Cache-Control": http_headers.NOT_STORED,
        "Vary": "Accept",
        "X-Content-Type-Options": "nosniff",
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if not is_ndjson:
        headers["Content-Disposition"] = 'attachment; filename="avatars.zip"'
    faces = _render_faces(state, version, drawer, bulk, client)
    # The first face is rendered before the response starts: afterwards no error can be sent.
    first = await anext(faces)
    write = _write_lines if is_ndjson else _write_zip
    stream = write(_prepend(first, faces), len(bulk.faces), version)
    return StreamingResponse(stream, headers=headers, media_type=NDJSON if is_ndjson else ZIP)


async def _render_faces(
    state: PictureState, version: str, drawer: Drawer, bulk: BulkRequest, client: Hashable
) -> Faces:
    team, end = Team(drawer), time.monotonic() + LIFETIME
    with state.batches.take(client):
        for face in bulk.faces:
            if time.monotonic() > end:
                log.warning("batch.ended", reason="slow client", seconds=LIFETIME)
                raise Overloaded(f"The batch was not read within {LIFETIME:g} seconds.")
            if bulk.is_distinct:
                render = partial(_render_distinct, state.engine, team, version, face, client)
                face, body = await _retry_while_overloaded(render)
            else:
                render_same = partial(service.render, state.engine, version, face, client)
                body = await _retry_while_overloaded(render_same)
            # In a thread: with `best_of` it draws.
            yield face, body, await asyncio.to_thread(service.describe, face, drawer)


async def _prepend(first: tuple[PictureRequest, bytes, Words], faces: Faces) -> Faces:
    yield first
    async for face in faces:
        yield face


async def _render_distinct(
    engine: Engine, team: Team, version: str, face: PictureRequest, client: Hashable
) -> tuple[PictureRequest, bytes]:
    def render() -> tuple[PictureRequest, bytes]:
        variant, pixels = team.add(face)
        pixels = enlarge(pixels, variant, team.drawer)
        return variant, service.encode(pixels, variant, version, team.drawer)

    return await engine.run(render, client, engine.estimate(version, face))


async def _retry_while_overloaded(render: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await render()
        except Overloaded:  # single faces go first
            await asyncio.sleep(RETRY_INTERVAL)


async def _write_lines(faces: Faces, count: int, version: str) -> AsyncIterator[bytes]:
    number = 0
    async for face, body, words in faces:
        number += 1
        about = _describe(face, version, words)
        fields = {"done": number, "of": count, **about, "type": face.media_type}
        fields["content"] = base64.b64encode(body).decode()
        yield json.dumps(fields).encode() + b"\n"


async def _write_zip(faces: Faces, count: int, version: str) -> AsyncIterator[bytes]:
    """Entries as they are rendered, not compressed; `index.json` last."""
    sink = _Sink()
    index: dict[str, Any] = {}
    with zipfile.ZipFile(sink, "w") as archive:
        async for face, body, words in faces:
            name = f"{len(index):04}.{face.format}"
            # ZipInfo has a constant date, so that equal requests get equal bytes.
            archive.writestr(zipfile.ZipInfo(name), body)
            index[name] = _describe(face, version, words)
            yield sink.take()
        archive.writestr(zipfile.ZipInfo("index.json"), json.dumps(index, indent=1))
    yield sink.take()


def _describe(face: PictureRequest, version: str, words: Words) -> dict[str, Any]:
    return {
        "seed": face.seed,
        "variant": face.values["variant"],
        "address": face.address(version),
        "traits": dict(words.traits),
        "alt": dict(words.alt),
    }


class _Sink(io.RawIOBase):
    """A write-only file whose content is taken away while it is written."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._buffer += data
        return len(data)

    def take(self) -> bytes:
        """The bytes written since the last call."""
        content = bytes(self._buffer)
        self._buffer.clear()
        return content
