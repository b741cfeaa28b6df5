"""Readiness states why a run waits, and reports no fault of a queue that no run needs."""

import pytest
import redis
import sqlalchemy as sa
from starlette.testclient import TestClient

from app.monitoring import faults, queue_watch
from app.monitoring.queue_watch import QueueWatch, Waiting
from models.settings import Settings
from tests.support.app_client import state_of
from tests.support.fixtures import Begin
from tests.support.waiting import wait


@pytest.fixture
def watch(settings: Settings, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> QueueWatch:
    """A watch without patience."""
    monkeypatch.setattr(queue_watch, "LONGEST_WAIT", -1.0)
    return QueueWatch(settings, engine)


def test_without_a_waiting_run_nothing_is_wrong(watch: QueueWatch, begin: Begin) -> None:
    assert watch.poll() == Waiting()
    begin("succeeded")
    begin("cancelled")
    assert watch.poll() == Waiting()


def test_a_waiting_run_without_a_queue(watch: QueueWatch, begin: Begin) -> None:
    begin()
    fault = watch.poll().fault
    assert fault is not None
    assert fault.code == faults.QUEUE_UNREACHABLE


def test_a_waiting_run_without_a_worker(
    watch: QueueWatch, begin: Begin, queue: redis.Redis
) -> None:
    begin()
    fault = watch.poll().fault
    assert fault is not None
    assert fault.code == faults.NO_WORKER


def test_a_waiting_run_that_its_worker_does_not_take(
    watch: QueueWatch, begin: Begin, queue: redis.Redis
) -> None:
    begin()
    with queue.pubsub() as worker:
        worker.psubscribe("/0.celery.pidbox")  # as Celery's workers do
        worker.get_message(timeout=5)
        fault = watch.poll().fault
    assert fault is not None
    assert fault.code == faults.RUN_WAITING


def test_a_run_may_wait_while_another_one_trains(watch: QueueWatch, begin: Begin) -> None:
    begin("running")
    begin()
    state = watch.poll()
    assert state.fault is None
    assert state.oldest is not None


def test_a_run_is_given_time(watch: QueueWatch, begin: Begin) -> None:
    queue_watch.LONGEST_WAIT = 60.0  # the fixture restores it
    begin()
    assert watch.poll().fault is None


def test_readiness_and_metrics_say_what_a_run_waits_for(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = state_of(client).queue_watch
    waiting = Waiting(90.4, faults.Fault(faults.NO_WORKER, "no worker"))
    monkeypatch.setattr(watch, "poll", lambda: waiting)
    monkeypatch.setattr(queue_watch, "INTERVAL", 0.01)
    # The app's own watch may be amid a look.
    wait(lambda: watch.state is waiting, 30)
    body = client.get("/health/ready").json()
    assert (body["status"], body["codes"], body["oldest_waiting_run"]) == (
        "degraded",
        ["no-worker"],
        90,
    )
    assert "kao_run_waiting_seconds 90.4" in client.get("/metrics").text
