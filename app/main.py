"""The application: everything that is served, and what it holds while it runs."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from app import health, problems
from app.avatars import routes as avatars
from app.avatars.engine import Engine
from app.catalogue import datasets, models
from app.limits import JsonLimit
from app.services import Services
from app.training import events, sheets
from app.training import routes as training
from models import database, home, keys
from models.registry import Registry
from models.settings import Settings

log = structlog.get_logger()

STALE_UPLOAD = 24 * 3600  # s; no upload lasts a day, so an older file lost its process
DESCRIPTION = """Any seed gives a manga face, always the same one, drawn by a GAN that you can
retrain over HTTP. Errors are problem documents (RFC 9457) whose `detail` says what to do."""


def create_app(settings: Settings) -> FastAPI:
    """An app that connects, migrates and warms up when it starts; building it does no work."""
    engine = database.connect(settings)
    registry = Registry(engine, settings.storage)
    held = Services(
        settings=settings,
        database=engine,
        registry=registry,
        engine=Engine(registry, settings.threads, settings.max_queue),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(_prepare, held)
        await held.engine.start()
        log.info("app.started", aliases=held.engine.served)
        try:
            yield
        finally:
            held.closing.set()
            await held.engine.stop()
            engine.dispose()
            log.info("app.stopped")

    app = FastAPI(
        title="Kao",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        responses=problems.DOCUMENTED,
    )
    app.state.services = held
    app.add_middleware(JsonLimit, prefix="/train")
    problems.install(app)
    for room in (avatars, training, events, sheets, models, datasets, health):
        app.include_router(room.router)
    _describe_problems(app)
    return app


def _prepare(held: Services) -> None:
    home.prepare(held.settings).dispose()
    keys.ensure_first_key(held.database, held.settings)
    _sweep(held.settings.storage / "uploads")


def _sweep(uploads: Path) -> None:
    """Remove what a killed process left of an upload."""
    if uploads.is_dir():
        for path in uploads.iterdir():
            if path.stat().st_mtime < time.time() - STALE_UPLOAD:
                path.unlink(missing_ok=True)


def _describe_problems(app: FastAPI) -> None:
    """Add the Problem schema, which no model of ours generates, to the OpenAPI document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problems.SCHEMA
        return document

    app.openapi = openapi  # type: ignore[method-assign]
