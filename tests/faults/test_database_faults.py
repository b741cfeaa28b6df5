"""A database that is locked, late or restarted: everything waits, then works."""

import signal
import sqlite3
import threading
import time

import pytest

from models.database.engine import wait_until_available
from tests.support.fixtures import BuildHouse
from tests.support.process_group import House
from tests.support.servers import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

LOCK_SECONDS = 20.0  # s


@pytest.fixture
def house(build_house: BuildHouse) -> House:
    """With a lease that a busy machine's late heartbeats do not lose: none shall end here."""
    return build_house(lease_seconds=10)


def test_a_database_locked_for_twenty_seconds_loses_nothing(house: House) -> None:
    house.queue()
    house.worker()
    house.app()
    run = house.submit(4_000)
    house.wait_for_snapshot(run)
    lock = sqlite3.connect(house.settings.home / "kao.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    deadline = time.monotonic() + LOCK_SECONDS
    answers = []

    def post() -> None:
        answers.append(house.http.post("/train", json={"preset": "smoke", "images": 160}))

    posting = threading.Thread(target=post)
    posting.start()
    while time.monotonic() < deadline:
        assert house.http.get(f"/avatar?seed={time.monotonic()}").status_code == 200
        assert house.http.get(f"/train/{run}").json()["state"] == "running"
        time.sleep(0.5)
    assert answers == []
    lock.execute("ROLLBACK")
    posting.join(60)
    assert answers[0].status_code == 202
    assert house.wait_for_end(run)["attempt"] == 1, (
        "a lock that stopped all heartbeats costs no lease"
    )
    assert house.wait_for_end(answers[0].json()["id"])["attempt"] == 1
    assert lock.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    lock.close()


def test_app_and_worker_wait_for_a_database_that_starts_later_and_outlive_its_death(
    build_house: BuildHouse, postgres: Postgres
) -> None:
    house = build_house(database_url=postgres.database())
    house.engine.dispose()
    with postgres.stopped(signal.SIGINT):
        house.queue()
        worker = house.worker()
        app = house.start_app()
        house.wait(lambda: house.log_tails().count("database.awaited") >= 2, "both wait")
        assert (worker.poll(), app.poll()) == (None, None)
    house.wait(house.serves, "the app serves")
    run = house.submit(3_000)
    house.wait_for_snapshot(run)

    with postgres.stopped(signal.SIGKILL):
        for number in range(5):
            assert house.http.get(f"/avatar?seed=dead-{number}").status_code == 200
            time.sleep(0.5)
    wait_until_available(house.engine)
    house.wait_for_end(run)
    assert (worker.poll(), app.poll()) == (None, None)
