"""Answers `POST /avatars`: many faces, rendered one at a time so that single faces go first."""

import asyncio
import base64
import json
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.auth.scopes import require_valid
from app.avatars import service, traits
from app.avatars.bulk.distinct import MOST_VARIANTS, Candidate, Team
from app.avatars.bulk.request import SCHEMA, BulkRequest, parse_body, read_body
from app.avatars.encode.provenance import Words
from app.avatars.generate.faces import enlarge
from app.avatars.request.costs import LOADING_UNITS, Estimate
from app.avatars.request.picture_request import PictureRequest
from app.avatars.state import PictureState, get_picture_state
from app.errors import TooManyRequests
from app.headers import NO_SNIFF, SHARED
from app.http import cache_headers
from app.http.accept import parse_qualities
from app.http.disconnects import cancel_on_disconnect
from models.bundle.generator import Drawer
from models.errors import Overloaded
from models.storage.zips import Buffer

log = structlog.get_logger()
T = TypeVar("T")
Faces = AsyncIterator[tuple[PictureRequest, bytes, Words]]

KEY_INTERVAL = 1.0  # s between two looks whether the key still exists
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
    client = state.limiter.client(request)
    state.batches.check(client)
    bulk = parse_body(await read_body(request, state.bodies, client))
    version = await state.engine.resolve(bulk.faces[0].model)
    if not state.engine.is_loaded(version):
        await state.limiter.charge_pictures(request, LOADING_UNITS)
    drawer = await state.engine.drawer(version)
    first_face = traits.resolve(bulk.faces[0], drawer.card)
    bulk = replace(bulk, faces=[first_face.with_values(seed=face.seed) for face in bulk.faces])
    batch = Batch(state, request, version, drawer, first_face, client)
    state.batches.check(client)  # others may have begun since
    limits = await batch.charge(len(bulk.faces))
    qualities = dict(parse_qualities(request.headers.get("accept", "")))
    is_ndjson = qualities.get(NDJSON, 0.0) > qualities.get(ZIP, 0.0)
    headers = {
        **limits,
        "X-Avatar-Model": version,
        "Cache-Control": cache_headers.NOT_STORED,
        "Vary": "Accept",
        **NO_SNIFF,
        **SHARED,
    }
    if not is_ndjson:
        headers["Content-Disposition"] = 'attachment; filename="avatars.zip"'
    faces = _render_faces(batch, bulk)
    # The first face is rendered before the response starts: afterwards no error can be sent.
    first = await cancel_on_disconnect(request, _first(faces))
    faces = _prepend(first, faces)
    if is_ndjson:
        stream = _write_lines(faces, len(bulk.faces), version)
    else:
        stream = _write_zip(faces, version)
    return StreamingResponse(stream, headers=headers, media_type=NDJSON if is_ndjson else ZIP)


@dataclass(frozen=True)
class Batch:
    """One batch in progress. face: any of its faces; all cost the same."""

    state: PictureState
    request: Request
    version: str
    drawer: Drawer
    face: PictureRequest
    client: Hashable
    end: float = field(default_factory=lambda: time.monotonic() + LIFETIME)

    @property
    def estimate(self) -> Estimate:
        """The time and memory of one face."""
        return self.state.engine.estimate(self.version, self.face)

    @property
    def is_best_of(self) -> bool:
        """Whether each face is the best of several; describing one then draws them again."""
        best_of: int = self.face.values["best_of"]
        return best_of > 1

    async def charge(self, count: int) -> dict[str, str]:
        """Charge so many faces; the headers to send. Raises TooManyRequests."""
        units = self.estimate.units * count * (2 if self.is_best_of else 1)
        return await self.state.limiter.charge_pictures(self.request, units)

    async def charge_patiently(self) -> None:
        """Charge one more face, as soon as the client's quota has room. Raises Overloaded."""
        while True:
            self.check_lifetime()
            try:
                await self.charge(1)
            except TooManyRequests as error:
                await asyncio.sleep(float(error.headers["Retry-After"]))
            else:
                return

    def check_lifetime(self) -> None:
        """Raise Overloaded where the batch takes too long, as for a slow client."""
        if time.monotonic() > self.end:
            log.warning("batch.ended", reason="lifetime", seconds=LIFETIME)
            raise Overloaded(f"The batch was not finished within {LIFETIME:g} seconds.")

    async def run(self, work: Callable[[], T]) -> T:
        """Call `work` in a drawing thread, when single faces leave room."""
        engine = self.state.engine
        return await _retry_while_overloaded(
            self, lambda: engine.run(work, self.client, self.estimate)
        )


async def _render_faces(batch: Batch, bulk: BulkRequest) -> Faces:
    team, next_look = Team(batch.drawer), 0.0
    with batch.state.batches.take(batch.client):
        for face in bulk.faces:
            batch.check_lifetime()
            if time.monotonic() >= next_look:
                await require_valid(batch.state, batch.request)
                next_look = time.monotonic() + KEY_INTERVAL
            if bulk.is_distinct:
                face, body = await _render_distinct(batch, team, face)
            else:
                engine = batch.state.engine
                render = partial(service.render, engine, batch.version, face, batch.client)
                body = await _retry_while_overloaded(batch, render)
            describe = partial(service.describe, face, batch.drawer)
            words = await (batch.run(describe) if batch.is_best_of else asyncio.to_thread(describe))
            yield face, body, words


async def _first(faces: Faces) -> tuple[PictureRequest, bytes, Words]:
    return await anext(faces)


async def _prepend(first: tuple[PictureRequest, bytes, Words], faces: Faces) -> Faces:
    yield first
    async for face in faces:
        yield face


async def _render_distinct(
    batch: Batch, team: Team, face: PictureRequest
) -> tuple[PictureRequest, bytes]:
    """The first variant that differs enough from earlier faces, else the most different one.

    Each variant waits for its turn and is charged.
    """
    for variant in range(MOST_VARIANTS):
        if variant:
            await batch.charge_patiently()
        if team.offer(await batch.run(partial(team.try_variant, face, variant))):
            break
    best = team.take()
    return best.request, await batch.run(partial(_encode, best, batch.version, batch.drawer))


def _encode(candidate: Candidate, version: str, drawer: Drawer) -> bytes:
    pixels = enlarge(candidate.pixels, candidate.request, drawer)
    return service.encode(pixels, candidate.request, version, drawer)


async def _retry_while_overloaded(batch: Batch, render: Callable[[], Awaitable[T]]) -> T:
    while True:
        batch.check_lifetime()
        try:
            return await render()
        except Overloaded:  # single faces go first
            await asyncio.sleep(RETRY_INTERVAL)


async def _write_lines(faces: Faces, count: int, version: str) -> AsyncIterator[bytes]:
    """One JSON object a line, as each of `count` faces is rendered."""
    number = 0
    async for face, body, words in faces:
        number += 1
        about = _describe(face, version, words)
        fields = {"done": number, "of": count, **about, "type": face.media_type}
        fields["content"] = base64.b64encode(body).decode()
        yield json.dumps(fields).encode() + b"\n"


async def _write_zip(faces: Faces, version: str) -> AsyncIterator[bytes]:
    """Entries as they are rendered, not compressed; `index.json` last."""
    sink = Buffer()
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
