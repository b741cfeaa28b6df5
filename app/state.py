"""What a running app holds, handed to its routes as one object."""

import asyncio
from dataclasses import dataclass, field

import sqlalchemy as sa
from fastapi import Request

from app.avatars.cache.fast_path import ResponseCache
from app.avatars.cache.picture_cache import PictureCache
from app.avatars.generate.engine import Engine
from app.rate_limits.limiter import Limiter
from models.registry import Registry
from models.settings import Settings


@dataclass(frozen=True)
class Services:
    """Settings, database, registry, engine, its pictures, and whether the server is stopping."""

    settings: Settings
    database: sa.Engine
    registry: Registry
    engine: Engine
    pictures: PictureCache
    responses: ResponseCache
    limiter: Limiter
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    # Zips checked at once: each keeps a core and up to a few hundred megabytes for its time.
    checks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    # Batches at once; each has one face in the engine's queue at a time.
    batches: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))


async def services(request: Request) -> Services:
    """The dependency that gives them to a route."""
    # A coroutine, because FastAPI runs a plain function in a thread: 0.4 ms a request.
    held: Services = request.app.state.services
    return held
