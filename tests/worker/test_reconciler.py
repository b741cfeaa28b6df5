"""A lease ends when a worker was silent, never when the watch could not look."""

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from models import runs
from models.settings import Settings
from tests.support.fixtures import Begin
from worker import abandoned_runs
from worker.abandoned_runs import LeaseWatch
from worker.celery_app import celery_app
from worker.reconciler import Reconciler


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(abandoned_runs, "time", clock)
    return clock


@pytest.fixture
def watch(settings: Settings, engine: sa.Engine) -> LeaseWatch:
    return LeaseWatch(settings, engine)


def look_for(watch: LeaseWatch, clock: Clock, seconds: float) -> None:
    """Look once a second."""
    for _ in range(int(seconds)):
        watch.requeue_abandoned()
        clock.now += 1


def test_a_silent_worker_loses_its_run_when_the_lease_is_over(
    watch: LeaseWatch, clock: Clock, settings: Settings, engine: sa.Engine, begin: Begin
) -> None:
    run, _ = begin("running")
    look_for(watch, clock, settings.lease_seconds)
    assert runs.get(engine, run)["state"] == "running"
    look_for(watch, clock, 2)
    assert runs.get(engine, run)["state"] == "queued"


def test_a_beating_worker_keeps_its_run(
    watch: LeaseWatch, clock: Clock, settings: Settings, engine: sa.Engine, begin: Begin
) -> None:
    run, fence = begin("running")
    for _ in range(5):
        look_for(watch, clock, settings.lease_seconds - 5)
        runs.beat(engine, run, fence)
    assert runs.get(engine, run)["state"] == "running"


def test_a_watch_that_slept_waits_for_a_whole_lease(
    watch: LeaseWatch, clock: Clock, settings: Settings, engine: sa.Engine, begin: Begin
) -> None:
    run, _ = begin("running")
    look_for(watch, clock, 2)
    clock.now += 10 * settings.lease_seconds
    look_for(watch, clock, settings.lease_seconds)
    assert runs.get(engine, run)["state"] == "running"


def test_a_database_that_takes_no_writes_costs_no_lease(
    watch: LeaseWatch, engine: sa.Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker beats as soon as it can, but the watch may get the lock first."""
    run, _ = begin("running")
    row = runs.get(engine, run)
    watch.last_check = time.monotonic()
    watch.heartbeats[run] = (row["fence"], row["heartbeat"], time.monotonic() - 1_000)
    monkeypatch.setattr(abandoned_runs, "INTERVAL", 0.2)
    is_locked, waiting = threading.Event(), threading.Event()

    def lock() -> None:
        with engine.begin():  # SQLite's one writer
            is_locked.set()
            assert waiting.wait(10)
            time.sleep(0.5)  # longer than INTERVAL, after the watch began to wait

    monkeypatch.setattr(abandoned_runs, "time", SimpleNamespace(monotonic=_setting(waiting)))
    locker = threading.Thread(target=lock)
    locker.start()
    assert is_locked.wait(10)
    watch.requeue_abandoned()
    locker.join()
    assert runs.get(engine, run)["state"] == "running"
    assert watch.heartbeats == {}


def _setting(event: threading.Event) -> Callable[[], float]:
    """A clock that sets an event when it is read."""

    def monotonic() -> float:
        event.set()
        return time.monotonic()

    return monotonic


def test_a_failing_database_is_logged_and_costs_no_lease(
    settings: Settings, engine: sa.Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciler = Reconciler(settings, engine, celery_app(settings))
    reconciler.leases.heartbeats["a run"] = (1, 1, 0.0)

    def fail() -> None:
        raise sa.exc.OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(reconciler.leases, "requeue_abandoned", fail)
    reconciler.reconcile()
    assert reconciler.leases.heartbeats == {}
