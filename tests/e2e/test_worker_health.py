"""The health check of a worker's container, against a real worker."""

import signal
import subprocess
import sys

import pytest

from models.settings import Settings
from tests.support.kao_up import Up
from worker.celery_app import celery_app
from worker.health import answers

pytestmark = pytest.mark.slow


def check(up: Up) -> int:
    command = [sys.executable, "-m", "worker.health"]
    return subprocess.run(command, env=up.environment, capture_output=True, timeout=60).returncode


def test_a_frozen_worker_and_another_hosts_are_not_healthy(up: Up) -> None:
    up.wait(lambda: check(up) == 0, 60, "the worker answers")
    app = celery_app(Settings(home=up.home))
    assert not answers(app, "another-host", timeout=2)
    (worker,) = up.children("kao worker$")
    worker.send_signal(signal.SIGSTOP)
    try:
        assert check(up) == 1
    finally:
        worker.send_signal(signal.SIGCONT)
    up.wait(lambda: check(up) == 0, 60, "the worker answers again")
    up.stop()
    assert check(up) == 1
