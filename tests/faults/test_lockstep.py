"""Two processes that train one run hand it back together, and go on together."""

import signal
import threading

import psutil
import pytest
import sqlalchemy as sa

from models import runs
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings
from tests.support.process_group import House, trainers
from tests.support.waiting import wait
from worker.supervisor import Supervisor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def watch(settings: Settings, engine: sa.Engine, run: str) -> tuple[Supervisor, threading.Thread]:
    """A supervisor of the run's next attempt, at work in a thread."""
    claim = runs.claim(engine, run)
    assert claim is not None
    supervisor = Supervisor(settings, engine, run, claim[1])
    thread = threading.Thread(target=supervisor.watch)
    thread.start()
    return supervisor, thread


def ranks(run: str) -> set[int]:
    """The ranks of the run's training processes; torchrun itself has none."""
    numbers = set()
    for process in trainers(run):
        try:
            numbers.add(int(process.environ()["RANK"]))
        except (KeyError, psutil.Error):
            continue
    return numbers


def test_two_processes_train_one_run_and_hand_it_back_together(
    settings: Settings, engine: sa.Engine
) -> None:
    together = settings.model_copy(update={"processes": 2})
    fields = {"preset": "smoke", "batch": 16, "images": 8_000, "snapshot_seconds": 0.2}
    run = str(runs.create(engine, resolve(fields), fields)[0]["id"])
    supervisor, thread = watch(together, engine, run)
    wait(lambda: runs.get(engine, run)["snapshot"], 300, "a snapshot of the first attempt")
    assert ranks(run) == {0, 1}
    supervisor.hand_back()
    thread.join(timeout=60)
    assert not thread.is_alive()
    wait(lambda: not trainers(run), 30, "both processes have ended")
    assert runs.get(engine, run)["state"] == "queued"

    _, thread = watch(together, engine, run)
    wait(lambda: ranks(run) == {0, 1}, 300, "two processes train the second attempt")
    wait(lambda: runs.get(engine, run)["state"] == "succeeded", 600, "it succeeds")
    thread.join(timeout=60)
    assert runs.get(engine, run)["attempt"] == 2
    card = Registry(engine, settings.storage).get(runs.get(engine, run)["version"])["card"]
    assert card["training"]["images"] == 8_000


def test_ctrl_c_publishes_a_run_of_two_processes_without_ending_torchrun(house: House) -> None:
    """torchrun forwards a signal that it gets, and kills what has not ended 30 s later."""
    fields = ["--set", "batch=16", "--set", "snapshot_seconds=0.2", "--set", "sliders=false"]
    command = ["train", "--preset", "smoke", "--images", "400000", *fields]
    process = house.kao(*command, name="train", KAO_PROCESSES="2")
    house.wait(lambda: runs.list_runs(house.engine), "the run is there")
    run = str(runs.list_runs(house.engine)[0]["id"])
    house.wait_for_snapshot(run)
    assert ranks(run) == {0, 1}
    process.send_signal(signal.SIGINT)
    assert process.wait(300) == 0, house.log_tails()
    assert house.run(run)["state"] == "succeeded"
    output = (house.logs / "train.log").read_text()
    assert "SignalException" not in output
    assert str(house.run(run)["version"]) in output.replace("\n", "")


@pytest.mark.parametrize(
    ("event", "error"), [("dataset.progress", "SIGKILL"), ("snapshot.written", "RuntimeError")]
)
def test_a_process_that_dies_counts_as_a_stall_with_its_reason(
    settings: Settings, engine: sa.Engine, event: str, error: str
) -> None:
    """torchrun's SIGTERM to the other looked like a worker's, and attempts followed without end."""
    together = settings.model_copy(update={"processes": 2})
    limit = 20_000 if event == "dataset.progress" else 64
    fields = {"preset": "smoke", "batch": 16, "images": 400_000, "dataset_limit": limit}
    run = str(runs.create(engine, resolve(fields), fields)[0]["id"])

    def events(type: str) -> list[runs.Row]:
        rows = runs.events_after(engine, run, 0, 100_000)
        return [row for row in rows if row["type"] == type]

    _, thread = watch(together, engine, run)
    wait(lambda: events(event) and ranks(run) == {0, 1}, 300, f"both processes and {event}")
    for process in trainers(run):
        if process.environ().get("RANK") == "1":
            process.kill()
    thread.join(timeout=60)
    row = runs.get(engine, run)
    assert (row["state"], row["stalls"]) == ("queued", 1)
    reason = events("run.requeued")[-1]["data"]["reason"]
    assert reason.startswith("the training process ended with exit code 1")
    assert error in reason
    assert trainers(run) == []
