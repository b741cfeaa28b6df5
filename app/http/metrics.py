"""What Prometheus is told: this process's own numbers, and from the database those of every run.

A number is counted where it happens, by a metric that belongs to its owner (the batcher its times,
the pictures their hits); one registry a process gathers them when somebody asks. What workers do
is in the database, so one scrape of any app shows all runs, and no worker needs a port.
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
from app.http import access_log
from app.state import Services
from models.database.engine import reading
from models.database.tables import datasets, models, runs
from models.registry import DEFAULT
from models.runs import STATES

router = APIRouter(tags=["health"])
KEPT = 1.0  # s; however many ask for metrics, the database is asked once in this time
# Of a run's progress, what is a rate or a position; its losses are whatever else ends in `_loss`.
PROGRESS = {
    "images": ("kao_run_images", "Images seen so far."),
    "images_per_second": ("kao_run_images_per_second", "Images a second."),
    "fraction": ("kao_run_fraction", "How much of it is done, 0 to 1."),
    "seconds_left": ("kao_run_left_seconds", "Seconds until it ends, as it guesses."),
}


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus's text format."}},
    summary="Metrics for Prometheus",
)
def metrics(request: Request) -> Response:
    """For machines inside: a proxy to the open should not pass it on (docs/deploy.md)."""
    encode, media = exposition.choose_encoder(request.headers.get("accept", ""))
    body = encode(request.app.state.telemetry)
    return Response(body, headers={"Cache-Control": "no-store", "Content-Type": media})


def registry_of(held: Services) -> CollectorRegistry:
    """Everything that this app can tell."""
    gathered = CollectorRegistry()
    for collector in (
        *held.engine.metrics,
        *held.pictures.metrics,
        *access_log.METRICS,
        Serving(held),
        Everywhere(held.database),
    ):
        gathered.register(collector)
    ProcessCollector(registry=gathered)
    PlatformCollector(registry=gathered)
    GCCollector(registry=gathered)
    return gathered


class Serving(Collector):
    """What this app holds and serves now, and what it refused."""

    def __init__(self, held: Services) -> None:
        self.held = held

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of time: a registry would have to collect for it."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read from the owners."""
        engine, pictures = self.held.engine, self.held.pictures
        yield _gauge("kao_ready", "1: a verified model serves.", DEFAULT in engine.served)
        yield _gauge(
            "kao_degraded", "1: /health/ready says what is wrong.", bool(engine.problems())
        )
        yield _gauge("kao_cache_bytes", "Encoded pictures in memory.", pictures.bytes)
        yield _gauge("kao_cache_limit_bytes", "KAO_CACHE_BYTES.", pictures.capacity)
        yield _gauge("kao_models_loaded", "Verified models in memory.", len(engine.loaded_versions))
        yield _gauge("kao_draw_waiting", "Pictures waited for now.", engine.pending)
        named = GaugeMetricFamily(
            "kao_alias_version", "1: the alias serves this version.", labels=["alias", "version"]
        )
        for alias, version in sorted(engine.served.items()):
            named.add_metric([alias, version[:12]], 1)
        yield named
        refused = CounterMetricFamily(
            "kao_refusals", "Problem documents sent, by what was wrong.", labels=["problem"]
        )
        for slug, count in sorted(problems.REFUSED.items()):
            refused.add_metric([slug], count)
        yield refused


class Everywhere(Collector):
    """Runs, models and datasets, as the database knows them: the same from every app."""

    def __init__(self, database: sa.Engine) -> None:
        self.database = reading(database)
        self._lock, self._until = threading.Lock(), 0.0
        self._kept: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """As in `Serving`."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One look at the database; while it does not answer, only that."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._kept = self._look()
                self._until = time.monotonic() + KEPT
            yield from self._kept

    def _look(self) -> list[Metric]:
        told = "1: the database answered."
        try:
            with self.database.begin() as db:
                found = [*_runs(db), *_progress(db), *_stored(db)]
        except sa.exc.SQLAlchemyError:
            return [_gauge("kao_database_up", told, 0)]
        return [_gauge("kao_database_up", told, 1), *found]


def _runs(db: sa.Connection) -> Iterator[Metric]:
    states = GaugeMetricFamily("kao_runs", "Runs in each state.", labels=["state"])
    query = select(runs.c.state, func.count()).group_by(runs.c.state)
    counted = {str(state): int(count) for state, count in db.execute(query)}
    for state in STATES:
        states.add_metric([state], counted.get(state, 0))
    yield states


def _progress(db: sa.Connection) -> Iterator[Metric]:
    """Of the runs that train now: a finished one leaves, so that labels do not pile up."""
    rates = {
        field: GaugeMetricFamily(name, told, labels=["run"])
        for field, (name, told) in PROGRESS.items()
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


def _stored(db: sa.Connection) -> Iterator[Metric]:
    for table, what in ((models, "models"), (datasets, "datasets")):
        count, size = db.execute(
            select(func.count(), func.coalesce(func.sum(table.c.bytes), 0))
        ).one()
        yield _gauge(f"kao_{what}", f"Published {what}." if table is models else "Uploads.", count)
        yield _gauge(f"kao_{what}_bytes", f"Their {what}' files, added up.", float(size))


def _gauge(name: str, told: str, value: Any) -> Metric:
    return GaugeMetricFamily(name, told, value=float(value))
