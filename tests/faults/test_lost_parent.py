"""Processes live and die together: a killed `kao up`, a closed terminal, a killed `kao train`."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from models import runs
from tests.support.kao_up import Up
from tests.support.process_group import House, Process, trainers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

LONG = 200_000  # images; nothing ends by itself meanwhile


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path / "home", OMP_NUM_THREADS="1")
    yield up
    if up.process.poll() is None:
        up.stop()


def family(process: Process) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def assert_all_end(processes: list[psutil.Process]) -> None:
    """Celery's grace for a run, and then some for a busy machine."""
    _, alive = psutil.wait_procs(processes, timeout=90)
    assert alive == []


def test_a_killed_kao_up_takes_its_children_along_and_the_next_continues(up: Up) -> None:
    location = up.train(preset="smoke", images=4_000, snapshot_seconds=0.2)
    up.wait(lambda: up.children("worker.training"), 120, "it trains")
    children = family(up.process)
    assert len(children) >= 4, "queue, worker, pool, training and app"
    up.close()
    up.process.kill()
    up.process.wait()
    up.launch()  # at once: it waits for those that are still stopping
    assert_all_end(children)  # until then the former app answers on the port
    up.wait_until_ready()
    assert up.finished(location, 300)["state"] == "succeeded"


def test_two_kao_up_on_one_home_are_refused(up: Up) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "kao", "up", "--port", "1"],
        env=up.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert up.ready()


def test_a_hangup_stops_kao_up_in_order(up: Up) -> None:
    assert up.stop(signal.SIGHUP) == 0


def in_terminal(house: House, *words: str) -> tuple[Process, int]:
    """A command in a terminal of its own; the process and the terminal's descriptor."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", CONTROLLING, *words],
        env={**os.environ, **house.settings.environment(), "OMP_NUM_THREADS": "1"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    house.processes.append(process)
    return process, controller


# Makes its standard input the controlling terminal, then becomes `kao`.
CONTROLLING = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, '-m', 'kao', *sys.argv[1:]])"
)


def test_a_closed_terminal_stops_kao_up_and_all_below_it(house: House) -> None:
    process, terminal = in_terminal(house, "up")
    house.wait(house.serves, "the app serves")
    run = house.submit(LONG)
    house.wait(lambda: trainers(run), "it trains")
    children = family(process)
    os.close(terminal)
    assert process.wait(90) == 0
    assert_all_end(children)
    assert house.run(run)["state"] == "queued", "handed back"
    assert house.run(run)["stalls"] == 0


def foreground_run(house: House, process: Process) -> str:
    """The run that `kao train` trains, once it has a snapshot."""
    house.wait(lambda: runs.list_runs(house.engine), "the run is there")
    run = str(runs.list_runs(house.engine)[0]["id"])
    house.wait_for_snapshot(run)
    assert process.poll() is None
    return run


def train(house: House, images: int) -> list[str]:
    fields = ["--set", "snapshot_seconds=0.2", "--set", "sliders=false"]
    return ["train", "--preset", "smoke", "--images", str(images), *fields]


def test_a_closed_terminal_hands_a_foreground_run_back(house: House) -> None:
    process, terminal = in_terminal(house, *train(house, LONG))
    reader = subprocess.Popen(["cat"], stdin=terminal, stdout=subprocess.DEVNULL)
    run = foreground_run(house, process)
    training = trainers(run)
    reader.kill()
    reader.wait()
    os.close(terminal)
    assert process.wait(90) == 1
    assert_all_end(training)
    assert house.run(run)["state"] == "queued"
    assert house.run(run)["stalls"] == 0


def test_a_killed_foreground_run_is_resumed_without_a_daemon(house: House) -> None:
    process = house.kao(*train(house, 6_000))
    run = foreground_run(house, process)
    training = trainers(run)
    process.kill()
    process.wait()
    assert_all_end(training)
    assert house.run(run)["state"] == "running", "nothing is left to say that it ended"
    again = house.kao("train", "--resume", run, name="again")
    assert again.wait(300) == 0, house.log_tails()
    row = house.run(run)
    assert (row["state"], row["attempt"]) == ("succeeded", 2)
    assert len(house.events(run, "run.started")) == 2


def test_a_run_that_trains_elsewhere_is_not_taken_over(house: House) -> None:
    process = house.kao(*train(house, LONG))
    run = foreground_run(house, process)
    second = house.kao("train", "--resume", run, name="second")
    assert second.wait(120) == 1
    text = (house.logs / "second.log").read_text()
    assert re.search(r"training\s+in\s+another\s+process", text)
    assert house.run(run)["attempt"] == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 1
    assert house.run(run)["state"] == "queued"
