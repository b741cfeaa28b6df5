"""Builds the application: its state, middleware and routes."""

import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.middleware import gzip

from app import health, metrics, openapi, problems
from app.auth import routes as auth
from app.avatars import gravatar, routes as avatars
from app.avatars.cache.fast_path import FastPath, ResponseCache
from app.avatars.cache.picture_cache import PictureCache
from app.avatars.generate.engine import Engine
from app.avatars.request.picture_types import PICTURE_TYPES
from app.avatars.state import PictureState
from app.datasets import contents, routes as datasets
from app.http import opentelemetry
from app.http.access_log import AccessLog
from app.http.body_size import BodyLimit
from app.http.compression import Compression
from app.http.cross_origin import CrossOrigin
from app.http.head import Head
from app.http.header_limits import HeaderLimits
from app.http.paced_bodies import PacedBodies
from app.http.path_prefix import PathPrefix
from app.http.private_cache import PrivateCache
from app.http.relative_redirects import RelativeRedirects
from app.http.shutdown import ShutdownAnswers
from app.local import routes as local
from app.monitoring.queue_watch import QueueWatch
from app.rate_limits.charge_rest import ChargeRest
from app.rate_limits.limiter import Limiter
from app.registry import browser, model_images, routes as registry_routes, sharing
from app.studio import model_card, pages, playground, team, views
from app.studio.error_pages import ErrorPages
from app.training import curves, events, presets, routes as training, sheets
from app.webhooks import routes as webhooks
from models import bootstrap, keys, memory
from models.database import engine as database
from models.registry import Registry
from models.settings import Settings
from models.storage import layout

log = structlog.get_logger()

STALE_UPLOAD = 24 * 3600  # s; no upload takes a day, so the process of an older file died
DESCRIPTION = """Every seed gives one manga face, drawn by a GAN that you can retrain over HTTP.
Errors are problem documents (RFC 9457) whose `detail` says how to correct the request."""


# Pictures but SVG have their own compression, and streams are sent line by line.
NOT_COMPRESSED = (
    *gzip.DEFAULT_EXCLUDED_CONTENT_TYPES,
    "image/apng",
    "application/octet-stream",
    "application/x-ndjson",
)

# In the order in which their routes are matched.
ROUTE_MODULES = (
    avatars,
    presets,  # before training: /train/presets is not a run
    training,
    events,
    sheets,
    curves,
    registry_routes,
    model_images,
    browser,
    sharing,
    local,
    datasets,
    contents,
    auth,
    webhooks,
    health,
    metrics,
    views,
    model_card,
    playground,
    team,
    pages,
)


def create_app(settings: Settings) -> FastAPI:
    """The app of these settings. It connects, migrates and loads models when it starts."""
    state = _create_state(settings)
    app = FastAPI(
        title="Kao",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,  # app/studio/pages.py serves it without a CDN
        redoc_url=None,
        responses=problems.RESPONSES,
        telemetry=opentelemetry.config(settings),
    )
    app.state.kao = state
    app.state.telemetry = metrics.build_registry(state)
    _add_middleware(app, state)
    problems.install(app)
    for module in ROUTE_MODULES:
        app.include_router(module.router)
    openapi.install(app)
    return app


def _create_state(settings: Settings) -> PictureState:
    connections = database.connect(settings)
    registry = Registry(connections, settings.blobs)
    engine = Engine(
        registry,
        settings.threads,
        settings.max_queue,
        settings.model_bytes,
        settings.cache_bytes,
    )
    pictures = PictureCache(settings.cache_bytes)
    return PictureState(
        settings=settings,
        database=connections,
        registry=registry,
        engine=engine,
        pictures=pictures,
        responses=ResponseCache(engine.served, pictures),
        limiter=Limiter(settings),
        queue_watch=QueueWatch(settings, connections),
    )


def _add_middleware(app: FastAPI, state: PictureState) -> None:
    """Add the middleware, innermost first."""
    app.add_middleware(BodyLimit, exempt=("/avatars", "/datasets", "/models"))
    app.add_middleware(ShutdownAnswers, closing=state.closing)
    if state.settings.public_avatars:  # the fast path checks no key
        app.add_middleware(FastPath, responses=state.responses)
    else:
        app.add_middleware(PrivateCache)
    app.add_middleware(RelativeRedirects)
    app.add_middleware(ChargeRest, limiter=state.limiter)
    app.add_middleware(ErrorPages)
    pictures = ["/avatars", gravatar.LEGACY_PATH, *(each.path for each in PICTURE_TYPES)]
    app.add_middleware(CrossOrigin, paths=pictures, files=browser.PATHS)
    app.add_middleware(Compression, exclude_content_types=NOT_COMPRESSED)
    app.add_middleware(Head)  # outside of what chooses headers by the body
    app.add_middleware(PacedBodies, limit=memory.available())
    app.add_middleware(HeaderLimits)
    app.add_middleware(AccessLog)
    settings = state.settings
    app.add_middleware(
        PathPrefix, prefix=settings.path_prefix, trusts_proxies=bool(settings.trusted_proxies)
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state: PictureState = app.state.kao
    await run_in_threadpool(_prepare, state)
    await state.engine.start()
    state.queue_watch.start()
    log.info("app.started", aliases=state.engine.served)
    try:
        yield
    finally:
        state.closing.set()
        await state.queue_watch.stop()
        await state.engine.stop()
        await state.limiter.close()
        state.database.dispose()
        log.info("app.stopped")


def _prepare(state: PictureState) -> None:
    bootstrap.prepare(state.settings).dispose()
    keys.ensure_first_key(state.database, state.settings)
    keys.warn_without_key(state.database)
    _sweep(state.settings.storage / layout.UPLOADS)


def _sweep(uploads: Path) -> None:
    """Delete partial uploads of processes that died."""
    if uploads.is_dir():
        for path in uploads.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process has just finished it
                if path.stat().st_mtime < time.time() - STALE_UPLOAD:
                    path.unlink()
