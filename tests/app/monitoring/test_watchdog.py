"""A stuck drawing fails liveness and ends the process; so does a shutdown that never ends."""

import threading
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from app.monitoring import watchdog
from app.monitoring.watchdog import EXIT_CODE, Watchdog
from tests.support.app_client import state_of
from tests.support.waiting import wait


@pytest.fixture
def exit_codes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The codes with which the process would have ended, soon after the fault."""
    for name, seconds in (("STUCK", 0.2), ("NOTICE", 0.01), ("LAST", 0.1), ("INTERVAL", 0.01)):
        monkeypatch.setattr(watchdog, name, seconds)
    return []


def _watch(
    codes: list[int], longest_run: Callable[[], float], is_stopping: Callable[[], bool]
) -> Watchdog:
    dog = Watchdog(longest_run, is_stopping, end=codes.append)
    dog.start()
    return dog


def test_a_stuck_drawing_ends_the_process(exit_codes: list[int]) -> None:
    _watch(exit_codes, lambda: 0.3, lambda: False)
    wait(lambda: exit_codes == [EXIT_CODE], 10)


def test_a_shutdown_that_never_ends_is_ended(exit_codes: list[int]) -> None:
    _watch(exit_codes, lambda: 0.0, lambda: True)
    wait(lambda: exit_codes == [EXIT_CODE], 10)


def test_drawings_that_end_in_time_end_nothing(exit_codes: list[int]) -> None:
    looks: list[float] = []

    def longest_run() -> float:
        looks.append(0.1)
        return 0.1

    dog = _watch(exit_codes, longest_run, lambda: False)
    wait(lambda: len(looks) > 20, 10)
    dog.stop()
    assert exit_codes == []


def test_a_drawing_that_was_frozen_with_its_process_ends_nothing(exit_codes: list[int]) -> None:
    """It takes hours by the clock after SIGSTOP, `docker pause` or a sleep, and then ends."""
    seconds = [0.1, 3600.0]

    def longest_run() -> float:
        return seconds.pop(0) if seconds else 0.0

    looks = iter(range(1000))
    dog = _watch(exit_codes, longest_run, lambda: next(looks) < 0)
    wait(lambda: not seconds and next(looks) > 20, 10)
    dog.stop()
    assert exit_codes == []


def test_liveness_fails_while_a_drawing_is_stuck(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "STUCK", 0.05)
    engine, gate, portal = state_of(client).engine, threading.Event(), client.portal
    assert portal is not None
    assert client.get("/health/live").json() == {"status": "live"}
    hanging = portal.start_task_soon(engine.run, gate.wait)
    try:
        wait(lambda: client.get("/health/live").status_code == 503, 10)
    finally:
        gate.set()
        hanging.result(10)
    assert client.get("/health/live").status_code == 200
