"""The objects that a running app works with, passed to its routes as one value."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

import sqlalchemy as sa
from anyio import CapacityLimiter
from fastapi import Depends, Request

from app.concurrency_limits.fair_lock import FairLock
from app.concurrency_limits.stream_slots import StreamSlots
from app.concurrency_limits.upload_slots import UploadSlots
from app.local.packed_files import PackedFiles
from app.monitoring.queue_watch import QueueWatch
from app.rate_limits.limiter import Limiter
from models.registry import Registry
from models.settings import Settings

KEY_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class AppState:
    """What the routes share; `closing` ends streams.

    It has no pictures, so that every package of routes may import it (`app/avatars/state.py` adds
    them).
    """

    settings: Settings
    database: sa.Engine
    registry: Registry
    limiter: Limiter
    queue_watch: QueueWatch
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    streams: StreamSlots = field(default_factory=StreamSlots)
    uploads: UploadSlots = field(default_factory=UploadSlots)
    # Threads that look keys up: the default ones may all wait for a locked database or a bucket.
    key_threads: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(KEY_THREADS))
    # Zips validated at once: each uses a core and up to a few hundred megabytes meanwhile.
    checks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    # Datasets decoded at once for previews: one takes up to 15 s of a core and 200 MB.
    decodes: FairLock = field(default_factory=FairLock)
    packed_files: PackedFiles = field(default_factory=PackedFiles)


def get_state(request: Request) -> AppState:
    """The state of the app that answers this request."""
    state: AppState = request.app.state.kao
    return state


async def inject_state(request: Request) -> AppState:
    """The same for a route's parameter, whatever state the app has."""
    # A coroutine, because FastAPI runs a plain function in a thread: 0.4 ms per request.
    return get_state(request)


# The parameter type of a route that needs the state.
State = Annotated[AppState, Depends(inject_state)]
