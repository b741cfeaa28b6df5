"""A run's events as a stream (server-sent events), resumable by their numbers."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from app.auth.scopes import needs
from app.errors import InvalidParameter
from app.http.query_string import Only
from app.state import Services, services
from models import runs
from models.runs import Row

router = APIRouter(prefix="/train", tags=["training"], dependencies=[needs("read")])

POLL = 0.5  # s
HEARTBEAT = 15.0  # s; proxies close a connection that is silent for longer than 30 to 60
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
        204: {"description": "The run is over and there is nothing new: do not reconnect."},
    },
    summary="A run's events, live",
)
async def events(
    held: Annotated[Services, Depends(services)],
    run: str,
    after: Annotated[str | None, Query(description="Only events above this number.")] = None,
    last_event_id: Annotated[str | None, Header(description="The same, from EventSource.")] = None,
) -> Response:
    """All events so far, then each as it happens, until the run is over."""
    # A reconnecting EventSource repeats its URL, so the header is the newer word.
    number = _number("Last-Event-ID", last_event_id) or _number("after", after)
    row, found = await run_in_threadpool(_look, held, run, number)
    if row["state"] in runs.FINAL and not found and number:
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = _stream(held, run, number)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


def _number(name: str, text: str | None) -> int:
    if not text:
        return 0
    if not _NUMBER.fullmatch(text):
        raise InvalidParameter(name, f"is {text[:40]!r}", "an event's number")
    return int(text)


def _look(held: Services, run: str, number: int) -> tuple[Row, list[Row]]:
    # The state first: a run found over has all its events written.
    row = runs.get(held.database, run)
    return row, runs.events_after(held.database, run, number)


async def _stream(held: Services, run: str, number: int) -> AsyncIterator[bytes]:
    spoken = time.monotonic()
    while not held.closing.is_set():
        row, found = await run_in_threadpool(_look, held, run, number)
        for event in found:
            number = event["number"]
            data = json.dumps({**event["data"], "at": event["at"]})
            yield format_sse_event(data_str=data, event=event["type"], id=str(number))
        if found:
            spoken = time.monotonic()
            continue
        if row["state"] in runs.FINAL:
            return
        if time.monotonic() - spoken >= HEARTBEAT:
            yield KEEPALIVE_COMMENT
            spoken = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(held.closing.wait(), POLL)
