"""What a running app holds, handed to its routes as one object."""

import asyncio
from dataclasses import dataclass, field

import sqlalchemy as sa
from fastapi import Request

from app.avatars.engine import Engine
from models.registry import Registry
from models.settings import Settings


@dataclass(frozen=True)
class Services:
    """Settings, the database, the registry, the engine, and whether the server is stopping."""

    settings: Settings
    database: sa.Engine
    registry: Registry
    engine: Engine
    closing: asyncio.Event = field(default_factory=asyncio.Event)


def services(request: Request) -> Services:
    """The dependency that gives them to a route."""
    held: Services = request.app.state.services
    return held
