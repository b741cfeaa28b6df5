"""Real processes on one KAO_HOME: a Valkey, workers and apps, which a test may kill or freeze.

The lease is 3 s, so that a lost one costs a test seconds.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import redis
from safetensors.torch import load_file
from torch import Tensor

from kao import embedded_valkey
from models import bootstrap, bundle, runs
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings
from tests.support.waiting import free_port, wait

LEASE = 3.0
PATIENCE = 300.0  # s; on two cores with eight others at work a start of torch takes a minute
KEY = "kao_faults_0123456789abcdef"
QUICK = {"preset": "smoke", "snapshot_seconds": 0.2, "mixing": 0.5}

Process = subprocess.Popen[bytes]
T = TypeVar("T")


class House:
    """One KAO_HOME and the processes on it. Each process has its log in `logs`."""

    def __init__(self, folder: Path, **fields: Any) -> None:
        self.folder, self.logs = folder, folder / "logs"
        self.logs.mkdir()
        usual: dict[str, Any] = {
            "lease_seconds": LEASE,
            "api_key": KEY,
            "threads": 1,
            "port": free_port(),
        }
        self.settings = Settings(home=folder / "home", **usual | fields)
        self.engine = bootstrap.prepare(self.settings)
        self.registry = Registry(self.engine, self.settings.storage)
        self.processes: list[Process] = []
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.settings.port}",
            timeout=40,
            headers={"Authorization": f"Bearer {KEY}"},
            trust_env=False,
        )

    # Processes.

    def start(self, name: str, command: list[str], **environment: str) -> Process:
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env={
                    **os.environ,
                    **self.settings.environment(),
                    "KAO_API_KEY": KEY,
                    "OMP_NUM_THREADS": "1",
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        self.processes.append(process)
        return process

    def kao(self, *words: str, name: str = "kao", **environment: str) -> Process:
        """A command of the command line."""
        return self.start(name, [sys.executable, "-m", "kao", *words], **environment)

    def queue(self, *options: str) -> Process:
        """The embedded Valkey, as `kao up` starts it; back when it answers."""
        binary = embedded_valkey.find_server()
        assert binary is not None
        process = self.start("queue", [*embedded_valkey.command(self.settings, binary), *options])
        self.wait(self.queue_answers, "the queue answers")
        return process

    def queue_answers(self) -> bool:
        try:
            with self.redis() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def redis(self) -> redis.Redis:
        client: redis.Redis = redis.from_url(
            self.settings.redis, socket_timeout=2, socket_connect_timeout=2
        )
        return client

    def worker(self, name: str = "worker", **environment: str) -> Process:
        return self.kao("worker", name=name, **environment)

    def start_app(self) -> Process:
        return self.kao("serve", name="app")

    def app(self) -> Process:
        """An app that serves."""
        process = self.start_app()
        self.wait(self.serves, "the app serves")
        return process

    def serves(self) -> bool:
        try:
            return self.http.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def log_tails(self) -> str:
        """The end of every process's log, for an assertion's message."""
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self.logs.iterdir())
        )

    def wait(self, condition: Callable[[], T], goal: str, seconds: float = PATIENCE) -> T:
        """The first true value of `condition`."""
        return wait(condition, seconds, lambda: f"{goal}\n{self.log_tails()}")

    def close(self) -> None:
        for process in self.processes:
            kill_tree(process)
        self.http.close()
        self.engine.dispose()

    # Runs.

    def submit(self, images: int = 640, **fields: Any) -> str:
        """A new queued run of the smallest kind; its id."""
        request = {**QUICK, "images": images, **fields}
        return str(runs.create(self.engine, resolve(request), request)[0]["id"])

    def run(self, run: str) -> runs.Row:
        return runs.get(self.engine, run)

    def snapshots(self, run: str) -> int:
        return len(self.events(run, "snapshot.written"))

    def events(self, run: str, type: str | None = None) -> list[runs.Row]:
        rows = runs.events_after(self.engine, run, 0, 100_000)
        return [row for row in rows if type in (None, row["type"])]

    def wait_for_snapshot(self, run: str, seconds: float = PATIENCE) -> None:
        """Wait for a snapshot that is not there yet."""
        before = self.snapshots(run)
        self.wait(lambda: self.snapshots(run) > before, f"run {run} goes on", seconds)

    def wait_for_end(
        self, run: str, state: str = "succeeded", seconds: float = PATIENCE
    ) -> runs.Row:
        """Wait until a run has ended in this state; its row."""
        self.wait(lambda: self.run(run)["state"] in runs.FINAL, f"{run} ends", seconds)
        row = self.run(run)
        assert row["state"] == state, f"{row['error']}\n{self.log_tails()}"
        return row

    def weights(self, run: str) -> dict[str, Tensor]:
        folder = self.registry.folder(self.run(run)["version"])
        return load_file(folder / bundle.WEIGHTS)

    def device_is_free(self) -> bool:
        with (self.settings.home / "device.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


def trainers(run: str) -> list[psutil.Process]:
    """A run's training processes, orphans included."""
    matches = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = process.cmdline()
            if "worker.training" in line and run in line:
                matches.append(process)
    return matches


def children(process: Process) -> list[psutil.Process]:
    """A Celery parent's pool."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(process.pid).children()
    return []


def kill_tree(process: Process) -> None:
    """End a process and all below it, frozen ones too."""
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(process.pid)
        family = [*parent.children(recursive=True), parent]
    for member in family:
        with contextlib.suppress(psutil.Error):
            member.send_signal(signal.SIGKILL)
    process.wait(20)
