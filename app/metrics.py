"""Metrics for Prometheus: of this process, and from the database those of every run.

A module counts its own events in its own metrics (the batcher its times, the picture cache its
hits); one registry per process collects them. The progress of workers is read from the database,
so a scrape of any app shows all runs and workers need no port.
"""

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    exposition,
)
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from app import problems
from app.avatars.state import PictureState
from app.health import all_faults
from app.http import access_log
from models.database.engine import reading
from models.database.tables import datasets, models, runs
from models.registry import DEFAULT
from models.runs import STATES

router = APIRouter(tags=["health"])
CACHE_SECONDS = 1.0  # scrapes within this time share one query of the database
# Fields of a run's progress that are exported; so is every field that ends in `_loss`.
PROGRESS = {
    "images": ("kao_run_images", "Images seen so far."),
    "images_per_second": ("kao_run_images_per_second", "Images a second."),
    "fraction": ("kao_run_fraction", "Fraction completed, 0 to 1."),
    "seconds_left": ("kao_run_left_seconds", "Estimated seconds until it ends."),
}


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus's text format."}},
    summary="Metrics for Prometheus",
)
def metrics(request: Request) -> Response:
    """For internal use: a public proxy should not forward it (docs/deploy.md)."""
    encode, media = exposition.choose_encoder(request.headers.get("accept", ""))
    body = encode(request.app.state.telemetry)
    return Response(body, headers={"Cache-Control": "no-store", "Content-Type": media})


def build_registry(state: PictureState) -> CollectorRegistry:
    """All metrics of this app."""
    registry = CollectorRegistry()
    for collector in (
        *state.engine.metrics,
        *state.pictures.metrics,
        *access_log.METRICS,
        AppCollector(state),
        DatabaseCollector(state.database),
    ):
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


class AppCollector(Collector):
    """Models, cache, queue and refusals of this process."""

    def __init__(self, state: PictureState) -> None:
        self.state = state

    def describe(self) -> Iterable[Metric]:
        """Nothing: otherwise the registry would collect when it registers this."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The current values."""
        engine, pictures = self.state.engine, self.state.pictures
        yield _gauge("kao_ready", "1: a verified model serves.", DEFAULT in engine.served)
        yield _gauge(
            "kao_degraded", "1: /health/ready lists problems.", bool(all_faults(self.state))
        )
        waiting = self.state.queue_watch.state.oldest or 0
        yield _gauge("kao_run_waiting_seconds", "How long the oldest waiting run waits.", waiting)
        yield _gauge(
            "kao_draw_longest_seconds", "The longest running drawing.", engine.longest_run()
        )
        yield _gauge("kao_cache_bytes", "Encoded pictures in memory.", pictures.bytes)
        yield _gauge("kao_cache_limit_bytes", "KAO_CACHE_BYTES.", pictures.capacity)
        yield _gauge("kao_models_loaded", "Verified models in memory.", len(engine.loaded_versions))
        yield _gauge("kao_draw_waiting", "Pictures that wait or are being drawn.", engine.pending)
        versions = GaugeMetricFamily(
            "kao_alias_version", "1: the alias serves this version.", labels=["alias", "version"]
        )
        for alias, version in sorted(engine.served.items()):
            versions.add_metric([alias, version[:12]], 1)
        yield versions
        refusals = CounterMetricFamily(
            "kao_refusals", "Problem documents sent, by problem.", labels=["problem"]
        )
        for slug, count in sorted(problems.SENT_COUNTS.items()):
            refusals.add_metric([slug], count)
        yield refusals


class DatabaseCollector(Collector):
    """Runs, models and datasets in the database: the same from every app."""

    def __init__(self, database: sa.Engine) -> None:
        self.database = reading(database)
        self._lock, self._fresh_until = threading.Lock(), 0.0
        self._metrics: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """As in `AppCollector`."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The database's numbers, or only that it does not answer."""
        with self._lock:
            if time.monotonic() >= self._fresh_until:
                self._metrics = self._read()
                self._fresh_until = time.monotonic() + CACHE_SECONDS
            yield from self._metrics

    def _read(self) -> list[Metric]:
        help_text = "1: the database answered."
        try:
            with self.database.begin() as db:
                metrics = [*_runs(db), *_progress(db), *_storage(db)]
        except sa.exc.SQLAlchemyError:
            return [_gauge("kao_database_up", help_text, 0)]
        return [_gauge("kao_database_up", help_text, 1), *metrics]


def _runs(db: sa.Connection) -> Iterator[Metric]:
    states = GaugeMetricFamily("kao_runs", "Runs in each state.", labels=["state"])
    query = select(runs.c.state, func.count()).group_by(runs.c.state)
    counts = {str(state): int(count) for state, count in db.execute(query)}
    for state in STATES:
        states.add_metric([state], counts.get(state, 0))
    yield states


def _progress(db: sa.Connection) -> Iterator[Metric]:
    """Of running runs only, so that labels do not accumulate."""
    rates = {
        field: GaugeMetricFamily(name, help_text, labels=["run"])
        for field, (name, help_text) in PROGRESS.items()
    }
    losses = GaugeMetricFamily("kao_run_loss", "A run's losses.", labels=["run", "loss"])
    query = select(runs.c.id, runs.c.progress).where(runs.c.state == "running")
    for run, progress in db.execute(query):
        for field, value in (progress or {}).items():
            if field in rates:
                rates[field].add_metric([run], value)
            elif field.endswith("_loss") and isinstance(value, (int, float)):
                losses.add_metric([run, field.removesuffix("_loss")], value)
    yield from rates.values()
    yield losses


def _storage(db: sa.Connection) -> Iterator[Metric]:
    for table, noun in ((models, "models"), (datasets, "datasets")):
        count, size = db.execute(
            select(func.count(), func.coalesce(func.sum(table.c.bytes), 0))
        ).one()
        yield _gauge(f"kao_{noun}", f"Published {noun}." if table is models else "Uploads.", count)
        yield _gauge(f"kao_{noun}_bytes", "Total size of their files.", float(size))


def _gauge(name: str, help_text: str, value: Any) -> Metric:
    return GaugeMetricFamily(name, help_text, value=float(value))
