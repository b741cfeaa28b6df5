"""A request's body on its way to disk, in constant memory and never above a limit."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from app.errors import TooLarge, UnsupportedBody

BLOCK = 1 << 20  # bytes gathered before a thread writes them


@asynccontextmanager
async def received(request: Request, folder: Path, limit: int) -> AsyncIterator[Path]:
    """The body as a temporary file, gone afterwards unless it was moved. Raises TooLarge."""
    _check_headers(request, limit)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}.tmp"
    try:
        await _write(request, path, limit)
        yield path
    finally:
        path.unlink(missing_ok=True)


async def _write(request: Request, path: Path, limit: int) -> None:
    size, block = 0, bytearray()
    with path.open("xb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            block += chunk
            if len(block) >= BLOCK:
                await run_in_threadpool(file.write, bytes(block))
                block.clear()
        await run_in_threadpool(file.write, bytes(block))


def _check_headers(request: Request, limit: int) -> None:
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise UnsupportedBody(
            "Send the zip itself as the body, not a form: curl --data-binary @faces.zip"
        )
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The upload has more than {limit:,} bytes; send fewer pictures, or raise "
        "KAO_MAX_UPLOAD_BYTES."
    )
