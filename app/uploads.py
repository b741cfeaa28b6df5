"""Streams the body of an upload to disk, in constant memory and within limits."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from app.auth.scopes import require_valid
from app.errors import UnsupportedBody
from app.state import AppState
from models.datasets import quotas
from models.datasets.quotas import Room
from models.settings import Settings
from models.storage import layout

BLOCK = 1 << 20  # bytes per write in a thread


@asynccontextmanager
async def receive(request: Request, state: AppState, room: Room) -> AsyncIterator[Path]:
    """The body as a temporary file, which is deleted afterwards unless it was moved.

    Raises TooLarge, DiskFull, UnsupportedBody, Overloaded, and Unauthorised where the key was
    revoked meanwhile.
    """
    with state.uploads.take(state.limiter.client(request)):
        async with _receive(request, state.settings, room) as path:
            await require_valid(state, request)
            yield path


@asynccontextmanager
async def _receive(request: Request, settings: Settings, room: Room) -> AsyncIterator[Path]:
    folder = settings.storage / layout.UPLOADS
    folder.mkdir(parents=True, exist_ok=True)
    _check_headers(request, settings, room, folder)
    path = folder / f"{uuid.uuid4().hex}.tmp"
    try:
        await _write(request, settings, room, path)
        yield path
    finally:
        path.unlink(missing_ok=True)


async def _write(request: Request, settings: Settings, room: Room, path: Path) -> None:
    size, block = 0, bytearray()
    with path.open("xb") as file:

        def write() -> None:
            quotas.check_disk(settings, path.parent, len(block))
            file.write(block)
            block.clear()

        async for chunk in request.stream():
            size += len(chunk)
            room.check(size)
            block += chunk
            if len(block) >= BLOCK:
                await run_in_threadpool(write)
        await run_in_threadpool(write)


def _check_headers(request: Request, settings: Settings, room: Room, folder: Path) -> None:
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise UnsupportedBody(
            "Send the zip itself as the body, not a form: curl --data-binary @FILE.zip"
        )
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdecimal() else 0
    room.check(size)
    quotas.check_disk(settings, folder, size)
