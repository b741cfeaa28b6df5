"""A drawing that never ends: its app fails liveness, ends by itself, and is started again."""

import contextlib
from pathlib import Path

import httpx
import pytest

from app.monitoring.watchdog import EXIT_CODE
from tests.support.process_group import House, Process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
HANG = "a seed that hangs"


@pytest.fixture
def app(house: House) -> Process:
    """An app in which one seed hangs."""
    folder = str(Path(__file__).parent / "injected")
    variables = {"PYTHONPATH": folder, "FAULT_HANG": HANG, "KAO_THREADS": "2"}
    process = house.kao("serve", name="app", **variables)
    house.wait(house.serves, "the app serves")
    return process


def _hang(house: House) -> None:
    with contextlib.suppress(httpx.TimeoutException):
        house.http.get("/avatar", params={"seed": HANG}, timeout=0.5)


def test_the_process_ends_after_liveness_failed(house: House, app: Process) -> None:
    _hang(house)
    # Another thread goes on drawing meanwhile.
    assert house.http.get("/avatar", params={"seed": "1"}).status_code == 200
    house.wait(lambda: house.http.get("/health/live").status_code == 503, "liveness fails", 30)
    assert app.wait(30) == EXIT_CODE
    house.app()  # as its supervisor does
    assert house.http.get("/avatar", params={"seed": "1"}).status_code == 200
