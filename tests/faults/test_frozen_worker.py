"""A worker frozen past its lease loses its run, and writes nothing when it thaws."""

import signal
import sqlite3
import time

import psutil
import pytest
from sqlalchemy import func, select

from models.database.engine import url_of
from models.database.tables import models
from tests.support.fixtures import BuildHouse
from tests.support.process_group import House, Process, children, trainers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def house(build_house: BuildHouse) -> House:
    """With a lease that a busy machine's late heartbeats do not lose."""
    return build_house(lease_seconds=6)


@pytest.fixture
def hosts(house: House) -> list[Process]:
    """Two hosts on one database and store: homes of their own, so each has its own device."""
    house.queue()
    shared = {
        "DATABASE_URL": url_of(house.settings).render_as_string(hide_password=False),
        "STORAGE_URL": f"file://{house.settings.storage}",
        "REDIS_URL": house.settings.redis,
    }
    return [
        house.worker(name, KAO_HOME=str(house.folder / name), **shared) for name in ("one", "two")
    ]


def owner(hosts: list[Process], run: str) -> tuple[Process, psutil.Process] | None:
    """Of two workers the one below which the run trains, and that training process."""
    for host in hosts:
        for below in psutil.Process(host.pid).children(recursive=True):
            if below in trainers(run):
                return host, below
    return None


def send(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        process.send_signal(number)


def freeze(house: House, processes: list[psutil.Process]) -> None:
    """Stop the processes outside of a write transaction.

    One that is stopped within keeps SQLite's lock, so that nobody could take over its run.
    """
    deadline = time.monotonic() + 120
    while True:
        send(processes, signal.SIGSTOP)
        if is_writable(house):
            return
        assert time.monotonic() < deadline, "each time a stopped process holds the database's lock"
        send(processes, signal.SIGCONT)
        time.sleep(0.1)


def is_writable(house: House) -> bool:
    """Whether a transaction can write within 3 s; others than the stopped ones end theirs."""
    database = sqlite3.connect(str(url_of(house.settings).database), timeout=3)
    try:
        database.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    finally:
        database.close()
    return True


@pytest.mark.parametrize("target", ["host", "supervisor"])
def test_a_thawed_worker_publishes_nothing_and_stops_by_itself(
    house: House, hosts: list[Process], target: str
) -> None:
    """The whole host, or all of it but the training process, which goes on unwatched."""
    # On a fast core ten times as long as the lease: no worker takes over a run that has ended.
    run = house.submit(30_000)
    house.wait_for_snapshot(run)
    match = house.wait(lambda: owner(hosts, run), "a worker trains it")
    assert match is not None
    host, training = match
    pool = children(host)
    icy = [psutil.Process(host.pid), *pool, *([training] if target == "host" else [])]
    freeze(house, icy)
    house.wait(lambda: house.run(run)["fence"] == 2, "another takes over")
    house.wait_for_snapshot(run)
    send(icy, signal.SIGCONT)
    house.wait(lambda: not training.is_running(), "the stale one stops by itself", 60)
    assert house.run(run)["fence"] == 2
    row = house.wait_for_end(run)

    assert row["attempt"] == 2
    assert len(house.events(run, "run.succeeded")) == 1
    with house.engine.begin() as db:
        query = select(func.count()).where(models.c.run == run)
        assert db.execute(query).scalar_one() == 1
    # The stale one counted on from where it froze: its pointer would go back, or come twice.
    second = house.events(run, "run.started")[1]["number"]
    steps = [
        event["data"]["iteration"]
        for event in house.events(run, "snapshot.written")
        if event["number"] > second
    ]
    assert steps == sorted(set(steps))
    assert host.poll() is None, "the thawed worker lives"
