"""The queue may die, hang, forget, repeat itself or run out of disk: runs are not its to lose."""

import shutil
import signal
import threading
import time

import pytest
import redis

from models import runs
from models.runs import QUEUE, TASK
from tests.support.process_group import kill_tree
from tests.support.tmpfs import tmpfs
from worker.celery_app import celery_app

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PROMISED = 5.0  # s, for POST /train without a queue
FREEZE = 30.0  # s


@pytest.fixture
def house(build_house):
    """With a lease that a busy machine's late heartbeats do not lose: none shall end here."""
    return build_house(lease_seconds=10)


def posted(house, **fields):
    """A run asked for over HTTP, and how long the answer took."""
    body = {"preset": "smoke", "snapshot_seconds": 0.2, **fields}
    began = time.monotonic()
    answer = house.http.post("/train", json=body)
    took = time.monotonic() - began
    assert answer.status_code == 202, answer.text
    return answer.json()["id"], took


def serves_faces(house, of):
    answers = {house.http.get(f"/avatar?seed={of}-{number}").status_code for number in range(5)}
    return answers == {200}


def follow(house, run, numbers):
    """Read a run's stream to its end, in a thread."""

    def read() -> None:
        with house.http.stream("GET", f"/train/{run}/events") as stream:
            for line in stream.iter_lines():
                if line.startswith("id: "):
                    numbers.append(int(line.removeprefix("id: ")))

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def test_a_queue_killed_emptied_or_frozen_stops_no_face_and_no_run(house) -> None:
    queue = house.queue()
    worker = house.worker()
    house.app()
    first, _ = posted(house, images=15_000)
    house.goes_on(first)
    numbers: list[int] = []
    reader = follow(house, first, numbers)

    kill_tree(queue)
    shutil.rmtree(house.settings.home / "valkey")
    assert serves_faces(house, "dead")
    second, took = posted(house)
    assert took < PROMISED
    house.goes_on(first)
    queue = house.queue()  # restarted empty
    assert house.ended(first)["attempt"] == 1
    assert house.ended(second)["attempt"] == 1
    reader.join(60)
    assert numbers == [event["number"] for event in house.events(first)]

    queue.send_signal(signal.SIGSTOP)
    thaws = time.monotonic() + FREEZE
    third, took = posted(house)
    assert took < PROMISED
    while time.monotonic() < thaws:
        assert serves_faces(house, "frozen")
        time.sleep(1)
    queue.send_signal(signal.SIGCONT)
    assert house.ended(third)["attempt"] == 1
    assert worker.poll() is None


def test_repeated_late_and_lost_messages_run_each_run_once(house) -> None:
    house.queue()
    for name in ("one", "two"):
        house.worker(name)
    sender = celery_app(house.settings)
    # Lost: these have no message at all until a reconciler misses it.
    asked = [house.ask(160) for _ in range(4)]
    for _ in range(12):
        sender.send_task(TASK, queue=QUEUE, retry=False)
    for run in asked:
        assert house.ended(run)["attempt"] == 1
        assert len(house.events(run, "run.started")) == 1
    # Late: nothing waits for it any more.
    sender.send_task(TASK, queue=QUEUE, retry=False)
    with house.redis() as client:
        house.wait(lambda: client.llen(QUEUE) == 0, "the late message is taken")
    last = house.ask(160)
    assert house.ended(last)["attempt"] == 1
    assert [house.run(run)["fence"] for run in asked] == [1] * len(asked)


def test_a_queue_whose_disk_is_full_refuses_training_and_recovers_by_itself(house) -> None:
    with tmpfs(house.settings.home / "valkey", megabytes=4) as disk:
        house.queue()
        house.worker()
        house.app()
        full = disk.fill()
        with house.redis() as client:
            # Valkey notices when it next writes (once a second, appendfsync everysec).
            house.wait(lambda: refuses(client), "the queue refuses to write", 30)
        waits = house.ask(160)  # asked for before anybody noticed
        refused = train_once(house)
        assert refused.status_code == 503
        assert refused.json()["type"] == "urn:kao:problem:queue-refuses"
        assert "MISCONF" in refused.json()["detail"]
        assert refused.elapsed.total_seconds() < PROMISED
        assert [row["id"] for row in runs.list_runs(house.engine)] == [waits]
        assert serves_faces(house, "full")
        assert house.run(waits)["state"] == "queued"
        full.unlink()
        house.wait(lambda: train_once(house).status_code == 202, "training is taken again", 30)
        assert house.ended(waits)["attempt"] == 1
        (run,) = {row["id"] for row in runs.list_runs(house.engine)} - {waits}
        assert house.ended(run)["attempt"] == 1


def train_once(house):
    body = {"preset": "smoke", "images": 160}
    return house.http.post("/train", json=body, headers={"Idempotency-Key": "once"})


def refuses(client):
    try:
        client.rpush("filler", "x" * 1000)
    except redis.RedisError as error:
        return "MISCONF" in str(error) or "AOF" in str(error)
    return False
