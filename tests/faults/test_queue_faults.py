"""No run is lost where the queue dies, hangs, loses or repeats messages, or its disk is full."""

import shutil
import signal
import sys
import threading
import time
from typing import Any

import httpx
import pytest
import redis

from models import runs
from models.queue import QUEUE, TASK
from tests.support.fixtures import BuildHouse
from tests.support.process_group import House, kill_tree
from tests.support.tmpfs import tmpfs
from worker.celery_app import celery_app

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

MOST_SECONDS = 5.0  # s, for POST /train without a queue
FREEZE = 30.0  # s


@pytest.fixture
def house(build_house: BuildHouse) -> House:
    """With a lease that a busy machine's late heartbeats do not lose: none shall end here."""
    return build_house(lease_seconds=10)


def post(house: House, **fields: Any) -> tuple[str, float]:
    """Start a run over HTTP; its id, and the seconds that the answer took."""
    body = {"preset": "smoke", "snapshot_seconds": 0.2, **fields}
    start = time.monotonic()
    answer = house.http.post("/train", json=body)
    took = time.monotonic() - start
    assert answer.status_code == 202, answer.text
    return answer.json()["id"], took


def serves_faces(house: House, seed: str) -> bool:
    answers = {house.http.get(f"/avatar?seed={seed}-{number}").status_code for number in range(5)}
    return answers == {200}


def follow(house: House, run: str, numbers: list[int]) -> threading.Thread:
    """Read a run's stream to its end, in a thread."""

    def read() -> None:
        with house.http.stream("GET", f"/train/{run}/events") as stream:
            for line in stream.iter_lines():
                if line.startswith("id: "):
                    numbers.append(int(line.removeprefix("id: ")))

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def test_a_queue_killed_emptied_or_frozen_stops_no_face_and_no_run(house: House) -> None:
    queue = house.queue()
    worker = house.worker()
    house.app()
    first, _ = post(house, images=15_000)
    house.wait_for_snapshot(first)
    numbers: list[int] = []
    reader = follow(house, first, numbers)

    kill_tree(queue)
    shutil.rmtree(house.settings.home / "valkey")
    assert serves_faces(house, "dead")
    second, took = post(house)
    assert took < MOST_SECONDS
    house.wait_for_snapshot(first)
    queue = house.queue()  # restarted empty
    assert house.wait_for_end(first)["attempt"] == 1
    assert house.wait_for_end(second)["attempt"] == 1
    reader.join(60)
    assert numbers == [event["number"] for event in house.events(first)]

    queue.send_signal(signal.SIGSTOP)
    thaws = time.monotonic() + FREEZE
    third, took = post(house)
    assert took < MOST_SECONDS
    while time.monotonic() < thaws:
        assert serves_faces(house, "frozen")
        time.sleep(1)
    queue.send_signal(signal.SIGCONT)
    assert house.wait_for_end(third)["attempt"] == 1
    assert worker.poll() is None


def test_repeated_late_and_lost_messages_run_each_run_once(house: House) -> None:
    house.queue()
    for name in ("one", "two"):
        house.worker(name)
    sender = celery_app(house.settings)
    # Lost: these have no message at all until a reconciler misses it.
    waiting = [house.submit(160) for _ in range(4)]
    for _ in range(12):
        sender.send_task(TASK, queue=QUEUE, retry=False)
    for run in waiting:
        assert house.wait_for_end(run)["attempt"] == 1
        assert len(house.events(run, "run.started")) == 1
    # Late: nothing waits for it any more.
    sender.send_task(TASK, queue=QUEUE, retry=False)
    with house.redis() as client:
        house.wait(lambda: client.llen(QUEUE) == 0, "the late message is taken")
    last = house.submit(160)
    assert house.wait_for_end(last)["attempt"] == 1
    assert [house.run(run)["fence"] for run in waiting] == [1] * len(waiting)


def test_a_queue_whose_disk_is_full_refuses_training_and_recovers_by_itself(house: House) -> None:
    with tmpfs(house.settings.home / "valkey", megabytes=4) as disk:
        house.queue()
        house.worker()
        house.app()
        full = disk.fill()
        with house.redis() as client:
            # Valkey notices when it next writes (once a second, appendfsync everysec).
            house.wait(lambda: refuses(client), "the queue refuses to write", 30)
        waits = house.submit(160)  # submitted before the fault is detected
        answer = train_once(house)
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:kao:problem:queue-refuses"
        assert "MISCONF" in answer.json()["detail"]
        assert answer.elapsed.total_seconds() < MOST_SECONDS
        assert [row["id"] for row in runs.list_runs(house.engine)] == [waits]
        assert serves_faces(house, "full")
        assert house.run(waits)["state"] == "queued"
        full.unlink()
        house.wait(lambda: train_once(house).status_code == 202, "training is taken again", 30)
        assert house.wait_for_end(waits)["attempt"] == 1
        (run,) = {row["id"] for row in runs.list_runs(house.engine)} - {waits}
        assert house.wait_for_end(run)["attempt"] == 1


def train_once(house: House) -> httpx.Response:
    body = {"preset": "smoke", "images": 160}
    return house.http.post("/train", json=body, headers={"Idempotency-Key": "once"})


def refuses(client: redis.Redis) -> bool:
    try:
        client.rpush("filler", "x" * 1000)
    except redis.RedisError as error:
        return "MISCONF" in str(error) or "AOF" in str(error)
    return False


def test_a_busy_reconciler_never_blocks_the_task_pool(house: House) -> None:
    """A pool that forks hangs here at about the third message: the child inherits a held lock."""
    house.queue()
    house.start("worker", [sys.executable, "-m", "tests.faults.injected.busy_reconciler"])
    app = celery_app(house.settings)
    with house.redis() as queue:
        for number in range(30):
            app.send_task(TASK, queue=QUEUE)
            house.wait(lambda: queue.llen(QUEUE) == 0, f"message {number} is taken", 120)
        run = house.submit(160)
        house.wait(lambda: house.run(run)["state"] == "succeeded", "a run is trained after them")
