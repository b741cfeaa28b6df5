"""A house of real processes: a Valkey, workers and apps, each of which a test may kill or freeze.

The lease is 3 s, so that a lost one costs a test seconds.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import redis
from safetensors.torch import load_file

from kao import embedded_valkey
from models import bootstrap, bundle, runs
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings

LEASE = 3.0
PATIENCE = 300.0  # s; on two cores with eight others at work a start of torch takes a minute
KEY = "kao_faults_0123456789abcdef"
QUICK = {"preset": "smoke", "snapshot_seconds": 0.2, "mixing": 0.5}


class House:
    """One KAO_HOME and whatever runs on it. Every process has its log in `logs`."""

    def __init__(self, folder: Path, **fields) -> None:
        self.folder, self.logs = folder, folder / "logs"
        self.logs.mkdir()
        usual = {"lease_seconds": LEASE, "api_key": KEY, "threads": 1, "port": _free()}
        self.settings = Settings(home=folder / "home", **usual | fields)
        self.engine = bootstrap.prepare(self.settings)
        self.registry = Registry(self.engine, self.settings.storage)
        self.started: dict[str, list[subprocess.Popen]] = {}
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{self.settings.port}",
            timeout=40,
            headers={"Authorization": f"Bearer {KEY}"},
            trust_env=False,
        )

    # Processes.

    def start(self, name: str, command: list[str], **environment: str) -> subprocess.Popen:
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
        self.started.setdefault(name, []).append(process)
        return process

    def queue(self, *options: str) -> subprocess.Popen:
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
        return redis.from_url(self.settings.redis, socket_timeout=2, socket_connect_timeout=2)

    def worker(self, name: str = "worker", **environment: str) -> subprocess.Popen:
        return self.start(name, [sys.executable, "-m", "kao", "worker"], **environment)

    def start_app(self) -> subprocess.Popen:
        return self.start("app", [sys.executable, "-m", "kao", "serve"])

    def app(self) -> subprocess.Popen:
        """An app that serves."""
        process = self.start_app()
        self.wait(self.serves, "the app serves")
        return process

    def serves(self) -> bool:
        try:
            return self.http.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def words(self) -> str:
        """The last words of every process, for an assertion's message."""
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self.logs.iterdir())
        )

    def wait(self, condition, what: str, seconds: float = PATIENCE):
        """The first truth that `condition` gives."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if found := condition():
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds:.0f} s: {what}\n{self.words()}")

    def close(self) -> None:
        for process in (one for several in self.started.values() for one in several):
            kill_tree(process)
        self.http.close()
        self.engine.dispose()

    # Runs.

    def ask(self, images: int = 640, **fields) -> str:
        """A new queued run of the smallest kind."""
        asked = {**QUICK, "images": images, **fields}
        return runs.create(self.engine, resolve(asked), asked)[0]["id"]

    def run(self, run: str) -> dict:
        return runs.get(self.engine, run)

    def snapshots(self, run: str) -> int:
        return len(self.events(run, "snapshot.written"))

    def events(self, run: str, type: str | None = None) -> list[dict]:
        found = runs.events_after(self.engine, run, 0, 100_000)
        return [event for event in found if type in (None, event["type"])]

    def goes_on(self, run: str, seconds: float = PATIENCE) -> None:
        """Wait for a snapshot that is not there yet."""
        before = self.snapshots(run)
        self.wait(lambda: self.snapshots(run) > before, f"run {run} goes on", seconds)

    def ended(self, run: str, state: str = "succeeded", seconds: float = PATIENCE) -> dict:
        row = self.wait(
            lambda: (row := self.run(run))["state"] in runs.FINAL and row, f"{run} ends", seconds
        )
        assert row["state"] == state, f"{row['error']}\n{self.words()}"
        return row

    def weights(self, run: str) -> dict:
        return load_file(self.registry.folder(self.run(run)["version"]) / bundle.WEIGHTS)

    def device_is_free(self) -> bool:
        import fcntl

        with (self.settings.home / "device.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True


def trainers(run: str) -> list[psutil.Process]:
    """A run's training processes, orphans included."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = process.cmdline()
            if "worker.training" in line and run in line:
                found.append(process)
    return found


def children(process: subprocess.Popen) -> list[psutil.Process]:
    """A Celery parent's pool."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(process.pid).children()
    return []


def kill_tree(process: subprocess.Popen) -> None:
    """End a process and all below it, frozen ones too."""
    family = []
    with contextlib.suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    for member in (*family, psutil.Process(process.pid) if process.poll() is None else None):
        if member is not None:
            with contextlib.suppress(psutil.Error):
                member.send_signal(signal.SIGKILL)
    process.wait(20)


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
