"""The application: everything that is served, and what it holds while it runs."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from app import health, openapi, problems
from app.auth import routes as auth
from app.auth import session_routes
from app.avatars import routes as avatars
from app.avatars.cache.fast_path import FastPath, ResponseCache
from app.avatars.cache.picture_cache import PictureCache
from app.avatars.generate.engine import Engine
from app.datasets import contents
from app.datasets import routes as datasets
from app.http import metrics, opentelemetry
from app.http.access_log import Observer
from app.http.body_size import BodyLimit
from app.rate_limits.limiter import Limiter
from app.registry import model_images
from app.registry import routes as registry_routes
from app.state import Services
from app.studio import model_card, pages, playground, views
from app.studio.error_pages import ErrorPages
from app.training import curves, events, measurements, presets, sheets
from app.training import routes as training
from models import bootstrap, keys
from models.database import engine as database
from models.registry import Registry
from models.settings import Settings
from models.storage import layout

log = structlog.get_logger()

STALE_UPLOAD = 24 * 3600  # s; no upload lasts a day, so an older file lost its process
DESCRIPTION = """Any seed gives a manga face, always the same one, drawn by a GAN that you can
retrain over HTTP. Errors are problem documents (RFC 9457) whose `detail` says what to do."""


def create_app(settings: Settings) -> FastAPI:
    """An app that connects, migrates and warms up when it starts; building it does no work."""
    engine = database.connect(settings)
    registry = Registry(engine, settings.blobs)
    drawing = Engine(registry, settings.threads, settings.max_queue, settings.model_bytes)
    pictures = PictureCache(settings.cache_bytes)
    held = Services(
        settings=settings,
        database=engine,
        registry=registry,
        engine=drawing,
        pictures=pictures,
        responses=ResponseCache(drawing.served, pictures),
        limiter=Limiter(settings),
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
            await held.limiter.close()
            engine.dispose()
            log.info("app.stopped")

    app = FastAPI(
        title="Kao",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # app/studio/pages.py has it, without a CDN
        redoc_url=None,
        responses=problems.DOCUMENTED,
        telemetry=opentelemetry.config(settings),
    )
    app.state.services = held
    app.state.telemetry = metrics.registry_of(held)
    app.add_middleware(BodyLimit, but=("/avatars", "/datasets"))
    if settings.public_avatars:  # the fast path checks no key
        app.add_middleware(FastPath, responses=held.responses)
    app.add_middleware(ErrorPages)
    app.add_middleware(Observer)
    problems.install(app)
    rooms = (
        avatars,
        training,
        events,
        sheets,
        curves,
        measurements,
        presets,
        registry_routes,
        model_images,
        datasets,
        contents,
        auth,
        session_routes,
        health,
        metrics,
        views,
        model_card,
        playground,
        pages,
    )
    for room in rooms:
        app.include_router(room.router)
    openapi.install(app)
    return app


def _prepare(held: Services) -> None:
    bootstrap.prepare(held.settings).dispose()
    if keys.ensure_first_key(held.database, held.settings) and not held.settings.api_key:
        log.info("key.in_file", file=str(held.settings.home / keys.FILE))
    keys.refuse_without_key(held.database, held.settings)
    _sweep(held.settings.storage / layout.UPLOADS)


def _sweep(uploads: Path) -> None:
    """Remove what a killed process left of an upload."""
    if uploads.is_dir():
        for path in uploads.iterdir():
            if path.stat().st_mtime < time.time() - STALE_UPLOAD:
                path.unlink(missing_ok=True)
