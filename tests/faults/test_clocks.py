"""A host's clock may jump: leases are timed by the watcher's own monotonic clock."""

import datetime
import json
import time
from pathlib import Path

import pytest

from models import runs
from tests.support.fixtures import BuildHouse
from tests.support.process_group import House, kill_tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

HOUR = 3600
LEASE = 6.0  # s; late heartbeats on a busy machine shall not be taken for a jump


@pytest.fixture
def faketime() -> Path:
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        pytest.skip("no libfaketime here: `apt-get install libfaketime`")
    return libraries[0]


class Clock:
    """What time of day a process has, moved while it runs; its monotonic clock is the real one."""

    def __init__(self, library: Path, file: Path) -> None:
        self.file = file
        self.jump(0)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: float) -> None:
        self.file.write_text(f"{seconds:+d}s\n")


def hours_ahead(house: House, name: str) -> list[int]:
    """The hours that a process's own log lines are ahead of this host."""
    lines = (house.logs / f"{name}.log").read_text().splitlines()
    stamps = [json.loads(line)["timestamp"] for line in lines if line.startswith("{")]
    now = datetime.datetime.now(datetime.UTC)
    return [
        round((datetime.datetime.fromisoformat(stamp) - now).total_seconds() / HOUR)
        for stamp in stamps
    ]


def test_a_clock_that_jumps_an_hour_costs_no_lease(build_house: BuildHouse, faketime: Path) -> None:
    house = build_house(lease_seconds=LEASE)
    trains, watches = (Clock(faketime, house.folder / name) for name in ("trains", "watches"))
    house.queue()
    one = house.worker("trains", **trains.environment)
    run = house.submit(200_000)
    house.wait_for_snapshot(run)
    house.worker("watches", **watches.environment)
    for hours in (1, -1):
        trains.jump(-hours * HOUR)
        watches.jump(hours * HOUR)
        deadline = time.monotonic() + 1.5 * LEASE
        while time.monotonic() < deadline:
            house.wait_for_snapshot(run)
        assert house.run(run)["attempt"] == 1
        assert house.events(run, "run.requeued") == []
    assert house.run(run)["state"] == "running"

    start = time.monotonic()
    kill_tree(one)
    house.wait(lambda: house.run(run)["attempt"] == 2, "the watcher takes over")
    assert time.monotonic() - start >= LEASE / 2, "not early by the jump either"
    runs.cancel(house.engine, run)
    house.wait_for_end(run, "cancelled")
    assert -1 in hours_ahead(house, "watches"), "its clock was an hour behind"
