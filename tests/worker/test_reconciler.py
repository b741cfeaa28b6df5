"""A lease ends when a worker was silent, never when the watcher could not listen."""

import threading
import time

import pytest
import sqlalchemy as sa

from models import runs
from models.settings import Settings
from worker import reconciler as module
from worker.celery_app import celery_app
from worker.reconciler import Reconciler


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def watcher(settings: Settings, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch):
    watcher = Reconciler(settings, engine, celery_app(settings))
    monkeypatch.setattr(watcher, "_wake_for_waiting", lambda: None)  # there is no queue here
    return watcher


def watch(watcher, clock, seconds) -> None:
    for _ in range(int(seconds)):
        watcher.reconcile()
        clock.now += 1


def test_a_silent_worker_loses_its_run_when_the_lease_is_over(
    watcher, clock, settings: Settings, engine: sa.Engine, begin
) -> None:
    run, _ = begin("running")
    watch(watcher, clock, settings.lease_seconds)
    assert runs.get(engine, run)["state"] == "running"
    watch(watcher, clock, 2)
    assert runs.get(engine, run)["state"] == "queued"


def test_a_beating_worker_keeps_its_run(
    watcher, clock, settings: Settings, engine: sa.Engine, begin
) -> None:
    run, fence = begin("running")
    for _ in range(5):
        watch(watcher, clock, settings.lease_seconds - 5)
        runs.beat(engine, run, fence)
    assert runs.get(engine, run)["state"] == "running"


def test_a_watcher_that_slept_waits_for_a_whole_lease(
    watcher, clock, settings: Settings, engine: sa.Engine, begin
) -> None:
    run, _ = begin("running")
    watch(watcher, clock, 2)
    clock.now += 10 * settings.lease_seconds
    watch(watcher, clock, settings.lease_seconds)
    assert runs.get(engine, run)["state"] == "running"


def test_a_database_that_takes_no_writes_costs_nobody_his_lease(
    settings: Settings, engine: sa.Engine, begin
) -> None:
    """The worker beats as soon as it can, but the watcher may get the lock first."""
    run, _ = begin("running")
    watcher = Reconciler(settings, engine, celery_app(settings))
    watcher.looked = time.monotonic()
    row = runs.get(engine, run)
    watcher.seen[run] = (row["fence"], row["heartbeat"], time.monotonic() - 1_000)
    locked = threading.Event()

    def lock() -> None:
        with engine.begin():  # SQLite's one writer
            locked.set()
            time.sleep(2)

    locker = threading.Thread(target=lock)
    locker.start()
    assert locked.wait(10)
    watcher._requeue_abandoned()
    locker.join()
    assert runs.get(engine, run)["state"] == "running"
    assert watcher.seen == {}
