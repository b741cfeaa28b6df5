"""Ten kills -9 of three kinds, at random moments, move no bit and leave nothing behind."""

import contextlib
import random
import time

import psutil
import pytest

from tests.support.process_group import House, Process, children, kill_tree, trainers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

IMAGES = 12_000
# The order is drawn; the training process dies most often, as it does in life.
VICTIMS = ["training"] * 4 + ["child"] * 3 + ["parent"] * 3


def victim(house: House, worker: Process, run: str, kind: str) -> psutil.Process:
    if kind == "parent":
        return psutil.Process(worker.pid)
    if kind == "training":
        return house.wait(lambda: trainers(run), "a training process")[0]
    return house.wait(lambda: children(worker), "a Celery child")[0]


def test_ten_kills_move_no_bit_and_leave_nothing_behind(house: House) -> None:
    random_order = random.Random(11)
    house.queue()
    whole_run, interrupted_run = house.submit(IMAGES), house.submit(IMAGES)
    worker = house.worker()
    house.wait_for_end(whole_run)
    for kind in random_order.sample(VICTIMS, len(VICTIMS)):
        house.wait_for_snapshot(interrupted_run)
        time.sleep(random_order.uniform(0, 0.3))
        assert house.run(interrupted_run)["state"] == "running", "it ended before all kills"
        alive = trainers(interrupted_run)
        with contextlib.suppress(psutil.Error):
            victim(house, worker, interrupted_run, kind).kill()
        _, orphans = psutil.wait_procs(alive, timeout=60)
        assert orphans == []
        if kind == "parent":
            kill_tree(worker)  # reaped, as a supervisor would
            worker = house.worker()
    row = house.wait_for_end(interrupted_run)
    assert row["attempt"] > len(VICTIMS)
    house.wait(lambda: not trainers(interrupted_run), "no training process is left", 60)
    assert house.device_is_free()
    first, second = house.weights(whole_run), house.weights(interrupted_run)
    assert first.keys() == second.keys()
    assert [name for name in first if not first[name].equal(second[name])] == []
