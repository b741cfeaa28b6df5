"""SIGTERM: a worker hands its run back within 30 s, an app ends its streams within 10.

Ctrl-C of `kao train`: a run that has trained nothing yet is handed back.
"""

import signal
import threading
import time

import httpx
import pytest

from models import runs
from tests.support.process_group import House, Process, trainers
from worker.datasets.packing import TEMPORARY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def seconds_to_end(process: Process, most: float) -> float:
    start = time.monotonic()
    process.terminate()
    process.wait(most)
    return time.monotonic() - start


def test_a_worker_snapshots_and_hands_back(house: House) -> None:
    house.queue()
    worker = house.worker()
    run = house.submit(50_000, snapshot_seconds=3600)
    house.wait(lambda: house.run(run)["progress"], "it trains")
    seconds_to_end(worker, 30)
    row = house.run(run)
    assert row["state"] == "queued"
    assert row["snapshot"] is not None
    assert row["stalls"] == 0
    assert trainers(run) == []


def test_a_worker_stopped_while_it_packs_hands_back_and_leaves_no_half_set(house: House) -> None:
    house.queue()
    worker = house.worker()
    run = house.submit(dataset_limit=50_000)  # minutes of drawing
    house.wait(lambda: house.events(run, "dataset.progress"), "it packs")
    assert list(house.settings.cache.glob(f"{TEMPORARY}*"))
    seconds_to_end(worker, 30)
    row = house.run(run)
    assert row["state"] == "queued"
    assert row["stalls"] == 0
    assert house.events(run)[-1]["data"] == {"reason": "stopped"}, "it was not killed"
    assert list(house.settings.cache.iterdir()) == []
    assert trainers(run) == []


def test_ctrl_c_while_the_training_process_starts_or_packs_hands_the_run_back(
    house: House,
) -> None:
    """It was killed as it started, or packed on for minutes and published an untrained model."""
    train = ["train", "--preset", "smoke", "--limit", "50000"]  # minutes of drawing
    process = house.kao(*train)
    run = house.wait(lambda: runs.list_runs(house.engine), "the run is there")[0]["id"]
    house.wait(lambda: trainers(run), "the training process is there, and not ready")
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 1
    row = house.run(run)
    assert (row["state"], row["stalls"]) == ("queued", 0)
    assert house.events(run)[-1]["data"] == {"reason": "stopped"}, "it was not killed"
    assert "Traceback" not in house.log_tails()

    process = house.kao("train", "--resume", run)
    house.wait(lambda: house.events(run, "dataset.progress"), "it packs")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 1
    assert house.run(run)["state"] == "queued"
    assert trainers(run) == []


def test_a_worker_stopped_while_its_training_process_starts_counts_no_stall(house: House) -> None:
    house.queue()
    worker = house.worker()
    run = house.submit(50_000)
    house.wait(lambda: trainers(run), "the training process is there, and deaf yet")
    seconds_to_end(worker, 30)
    assert house.run(run)["state"] == "queued"
    assert house.run(run)["stalls"] == 0
    assert trainers(run) == []


def test_a_worker_kills_a_training_process_that_ignores_its_signal(house: House) -> None:
    house.queue()
    worker = house.worker()
    run = house.submit(50_000)
    house.wait_for_snapshot(run)
    (training,) = trainers(run)
    training.suspend()
    seconds_to_end(worker, 30)
    house.wait(lambda: not trainers(run), "it is dead", 5)
    assert house.run(run)["state"] == "queued"
    assert house.run(run)["stalls"] == 0


def test_an_app_ends_its_streams_and_finishes_what_it_draws(house: House) -> None:
    app = house.app()
    run = house.submit()  # no worker trains it: its stream stays open
    following_now = threading.Event()
    answers: list[int] = []

    def follow() -> None:
        with house.http.stream("GET", f"/train/{run}/events") as stream:
            for _ in stream.iter_lines():
                following_now.set()

    def draw() -> None:
        with httpx.Client(base_url=house.http.base_url, timeout=30, trust_env=False) as client:
            answers.append(client.get("/sheet?count=100").status_code)

    following = threading.Thread(target=follow)
    following.start()
    assert following_now.wait(30)
    drawing = threading.Thread(target=draw)
    drawing.start()
    time.sleep(0.3)  # the request is on its way; too early or too late, it still must be answered
    assert seconds_to_end(app, 30) < 10
    following.join(10)
    drawing.join(10)
    assert not following.is_alive()
    assert answers == [200]
