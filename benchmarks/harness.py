"""Shared by the benchmarks: a server on one core, a load generator on another, its report."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from models import bootstrap, bundle
from models.bundle import verify
from models.bundle.generator import Drawer
from models.registry import Registry
from models.settings import Settings

ROOT = Path(__file__).parents[1]
CONNECTIONS = 16
SECONDS = float(os.environ.get("SECONDS_EACH", "8"))


def model() -> Path:
    """The bundle that is measured: the one BUNDLE names, else what a fresh Kao serves."""
    return Path(os.environ["BUNDLE"]) if "BUNDLE" in os.environ else bootstrap.shipped_bundles()[0]


def drawer() -> Drawer:
    """The same, verified."""
    return verify.verify(model(), bundle.digest(model()))


def cores() -> tuple[int, int]:
    """(the server's core, the load's core)."""
    free = sorted(os.sched_getaffinity(0))
    if len(free) < 2:
        sys.exit("This needs two cores: one for the server and one for the load.")
    return free[0], free[1]


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run this process on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Server:
    """A process that serves on a port."""

    port: int
    process: psutil.Process

    def url(self, path: str) -> str:
        """Its address of a path."""
        return f"http://127.0.0.1:{self.port}{path}"

    def cpu(self) -> float:
        """Processor seconds of it and its children so far."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in family)

    def is_alive(self) -> bool:
        """Whether it runs still."""
        return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE


@contextlib.contextmanager
def serving(
    command: Sequence[str | Path],
    ready: str,
    environment: Mapping[str, str] | None = None,
    is_pinned: bool = True,
) -> Iterator[Server]:
    """Start a server; `{port}` in its command becomes a free port.

    ready: a path that answers once it is ready. is_pinned: to the server's core.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pin = ["taskset", "-c", str(cores()[0])] if is_pinned else []
    argv = [*pin, *(str(part).format(port=port) for part in command)]
    variables = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "KAO_PORT": str(port)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            argv,
            env={**os.environ, **variables, **(environment or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        server = Server(port, psutil.Process(process.pid))
        try:
            _wait(server.url(ready), process)
            yield server
        except BaseException:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace")[-3000:])
            raise
        finally:
            _end(process)


@contextlib.contextmanager
def kao(is_pinned: bool = True, **environment: str) -> Iterator[Server]:
    """Kao as shipped, in a home of its own."""
    with tempfile.TemporaryDirectory(prefix="kao-") as folder:
        settings = Settings(home=Path(folder))
        registry = Registry(bootstrap.prepare(settings), settings.storage)
        registry.promote(registry.import_folder(model()))
        command = [sys.executable, "-m", "kao", "serve"]
        variables = {"KAO_HOME": folder, **environment}
        with serving(command, "/health/ready", variables, is_pinned) as server:
            yield server


def _end(process: subprocess.Popen[bytes]) -> None:
    for kill in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kill)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"The server ended with {process.returncode}.")
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError as answer:
            if answer.code in (404, 405, 422):  # it listens; this peer has no such page
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{url} did not answer within two minutes.")


@dataclass(frozen=True)
class Load:
    """The load generator's report: requests a second, milliseconds, and processor time."""

    rate: float
    p50: float
    p95: float
    p99: float
    wrong: int
    cpu: float

    def __str__(self) -> str:
        text = f"{self.rate:8.1f} requests/s   p50 {self.p50:.1f}  p95 {self.p95:.1f}"
        text += f"  p99 {self.p99:.1f} ms   {self.cpu * 1e3:.2f} ms of processor each"
        return text + (f"   {self.wrong} WRONG" if self.wrong else "")


def load(
    server: Server,
    path: str,
    *,
    body: str = "",
    headers: Mapping[str, str] | None = None,
    status: int = 200,
    connections: int = CONNECTIONS,
) -> Load:
    """Send requests for some seconds with wrk; each has another `SEED` in its path or JSON body."""
    if shutil.which("wrk") is None:
        sys.exit("This needs wrk (Debian: apt-get install wrk).")
    environment = {"LOAD_PATH": path, "LOAD_BODY": body, "LOAD_STATUS": str(status)}
    options = [f"-H{name}: {value}" for name, value in (headers or {}).items()]
    argv = ["taskset", "-c", str(cores()[1]), "wrk", "-t1", f"-c{connections}", "--timeout", "30s"]
    argv += ["-s", str(ROOT / "benchmarks" / "load.lua"), *options]

    def send(seconds: float) -> dict[str, float]:
        process = subprocess.run(
            [*argv, f"-d{seconds:g}s", server.url("/")],
            env={**os.environ, **environment, "LOAD_FROM": str(time.time_ns() // 1000)},
            capture_output=True,
            text=True,
            check=True,
        )
        report: dict[str, float] = json.loads(process.stdout.splitlines()[-1])
        return report

    send(2)
    before = server.cpu()
    report = send(SECONDS)
    seconds_each = (server.cpu() - before) / max(1, report["requests"])
    wrong = int(report["wrong"])
    rate = report["rate"] * (1 - wrong / max(1, report["requests"]))
    return Load(rate, report["p50"], report["p95"], report["p99"], wrong, seconds_each)
