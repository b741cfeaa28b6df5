"""The events of a run as a stream (server-sent events), resumable by number."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from app.auth.scopes import is_still_valid, needs
from app.concurrency_limits.stream_slots import Slot
from app.errors import InvalidParameter
from app.http.query_string import Only
from app.state import AppState, State
from models import runs
from models.runs import Row

router = APIRouter(prefix="/train", tags=["training"], dependencies=[needs("read")])

POLL = 0.5  # s between queries of the database
KEEPALIVE = 15.0  # s; proxies close a connection after 30 to 60 s without data
LARGEST_NUMBER = 2**31 - 1  # that the column holds
_NUMBER = re.compile(r"[0-9]{1,15}")


@router.get(
    "/{run}/events",
    dependencies=[Depends(Only("after"))],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "`id` is the event's number, `event` its type, `data` JSON.",
            "content": {
                "text/event-stream": {
                    "example": 'event: run.started\ndata: {"attempt": 1}\nid: 2\n\n'
                }
            },
        },
        204: {"description": "The run has ended and has no newer events: do not reconnect."},
    },
    summary="Stream the events of a run",
)
async def events(
    state: State,
    request: Request,
    run: str,
    after: Annotated[str | None, Query(description="Only events with a greater number.")] = None,
    last_event_id: Annotated[
        str | None, Header(description="The same, sent by EventSource.")
    ] = None,
) -> Response:
    """All events so far, then each one as it happens, until the run ends.

    The stream also ends when its key is revoked, its session expires, or other clients need its
    place: then the client reconnects. 429: so many streams of this key are open already.
    """
    # A reconnecting EventSource repeats its URL, so the header is newer.
    number = _number("Last-Event-ID", last_event_id) or _number("after", after)
    row, new_events = await run_in_threadpool(_read, state, run, number)
    if row["state"] in runs.FINAL and not new_events and number:
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = _stream(state, request, run, number)
    await anext(stream)  # it has its slot now, or the answer is a problem document
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


def _number(name: str, text: str | None) -> int:
    if not text:
        return 0
    if not _NUMBER.fullmatch(text):
        raise InvalidParameter(name, f"is {text[:40]!r}", "an event's number")
    return min(int(text), LARGEST_NUMBER)


def _read(state: AppState, run: str, number: int) -> tuple[Row, list[Row]]:
    # The state first: all events of a run are written before its final state.
    row = runs.get(state.database, run)
    return row, runs.events_after(state.database, run, number)


async def _stream(state: AppState, request: Request, run: str, number: int) -> AsyncIterator[bytes]:
    """First nothing, when it has a slot; then the events."""
    with state.streams.take(state.limiter.client(request)) as slot:
        yield b""
        async for piece in _follow(state, request, run, number, slot):
            yield piece


async def _follow(
    state: AppState, request: Request, run: str, number: int, slot: Slot
) -> AsyncIterator[bytes]:
    last_sent = time.monotonic()
    while not (state.closing.is_set() or slot.is_ended):
        if not await run_in_threadpool(is_still_valid, state, request):
            return
        row, new_events = await run_in_threadpool(_read, state, run, number)
        for event in new_events:
            number = event["number"]
            data = json.dumps({**event["data"], "at": event["at"]})
            yield format_sse_event(data_str=data, event=event["type"], id=str(number))
        if new_events:
            last_sent = time.monotonic()
            continue
        if row["state"] in runs.FINAL:
            return
        if time.monotonic() - last_sent >= KEEPALIVE:
            yield KEEPALIVE_COMMENT
            last_sent = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(state.closing.wait(), POLL)
