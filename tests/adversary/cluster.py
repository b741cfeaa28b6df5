"""The processes under attack: two apps, two workers, and the services that they share.

`postgresql`: each of the four has a home of its own, as on a host of its own, and reaches
PostgreSQL, an S3 stand-in and Valkey through links that can be broken. `sqlite`: all four share
one home, and only Valkey and the clients are reached through links.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Literal

import httpx
import psutil
import structlog

from kao import embedded_valkey
from models.settings import Settings
from tests.adversary.disk_faults import FaultyDisk, compile_library
from tests.support.network import Network
from tests.support.servers import KEYS, REGION, S3, Postgres, Server
from tests.support.waiting import free_port

log = structlog.get_logger()

Mode = Literal["postgresql", "sqlite"]
APPS, WORKERS = ("app-a", "app-b"), ("worker-a", "worker-b")
KEY = "kao_adversary_0123456789"
LEASE = 6.0  # s
PLANTED = Path(__file__).with_name("planted")


class Host:
    """One of the four processes, with its log and the faults of its disk and clock."""

    def __init__(self, name: str, log: Path, environment: dict[str, str]) -> None:
        self.name, self.log, self.environment = name, log, environment
        self.disk: FaultyDisk | None = None
        self.clock: Path | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.is_wanted = False
        # A fault that starts it again and the supervisor must not start two.
        self._turn = threading.RLock()

    def start(self) -> None:
        command = "serve" if self.name in APPS else "worker"
        with self._turn, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kao", command],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Linux shares the processor among sessions first (sched_autogroup): within one
                # session the whole cluster would get a single share of a busy machine.
                start_new_session=True,
            )
            self.is_wanted = True  # now: the process before it has ended, and was killed

    def restart_if_ended(self) -> bool:
        """Start it again where it ended by itself; whether it had."""
        with self._turn:
            has_ended = self.has_ended()
            if has_ended:
                self.start()
            return has_ended

    def family(self) -> list[psutil.Process]:
        """Its processes that live, children first."""
        return [] if self.process is None else family(self.process.pid)

    def kill(self) -> None:
        """End all of it at once, as a lost host does."""
        with self._turn:
            self.is_wanted = False
            for member in self.family():
                _signal(member, signal.SIGKILL)
            if self.process is not None:
                self.process.wait(20)

    def stop(self, seconds: float) -> bool:
        """Ask it to end; whether it did so in time. What is left is killed."""
        self.is_wanted = False
        if self.process is None:
            return True
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def has_ended(self) -> bool:
        """Whether it ended by itself, not by `stop`."""
        return self.is_wanted and self.process is not None and self.process.poll() is not None


def family(pid: int) -> list[psutil.Process]:
    """A process and all below it, children first."""
    try:
        parent = psutil.Process(pid)
        return [*parent.children(recursive=True), parent]
    except psutil.Error:
        return []


def faketime_library() -> Path | None:
    """The libfaketime of this machine, for LD_PRELOAD after the library of disk faults."""
    return next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


def clock_environment(clock: Path) -> dict[str, str]:
    """What makes libfaketime follow a file, e.g. `+60s`, and leave the monotonic clock alone."""
    return {
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return


class Cluster:
    """All processes and links. defect: one of those in `planted`, for the apps and workers."""

    def __init__(self, folder: Path, mode: Mode, defect: str | None = None) -> None:
        self.folder, self.mode = folder, mode
        self.network = Network()
        self.postgres = Postgres() if mode == "postgresql" else None
        self.storage = S3() if mode == "postgresql" else None
        self.queue = self._start_queue()
        self.ports = {name: free_port() for name in APPS}
        self.urls = {name: self._link_client(name) for name in APPS}
        self.direct_urls = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        self._database = "" if self.postgres is None else self.postgres.database()
        self._bucket = "" if self.storage is None else f"s3://{self.storage.bucket()}/kao"
        self._library = compile_library(folder)
        self.hosts = {name: self._host(name, defect) for name in (*APPS, *WORKERS)}

    def _start_queue(self) -> Server:
        data, port = self.folder / "valkey", free_port()
        data.mkdir()
        words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(data)]
        durable = ["--appendonly", "yes", "--maxmemory-policy", "noeviction"]
        return Server([str(embedded_valkey.find_server()), *words, *durable], port)

    def _link_client(self, name: str) -> str:
        link = self.network.link("client", name, self.ports[name])
        return f"http://127.0.0.1:{link.port}"

    def _host(self, name: str, defect: str | None) -> Host:
        environment = {
            **os.environ,
            "KAO_HOME": str(self.home(name)),
            "KAO_API_KEY": KEY,
            "KAO_LEASE_SECONDS": str(LEASE),
            "KAO_THREADS": "1",
            "KAO_LIMIT_PICTURES": "none",
            "KAO_LIMIT_CALLS": "none",
            "KAO_MIN_FREE_BYTES": "0",
            "OMP_NUM_THREADS": "1",
            "REDIS_URL": f"redis://127.0.0.1:{self._link(name, 'queue', self.queue.port)}/0",
        }
        if name in APPS:
            environment["KAO_PORT"] = str(self.ports[name])
        if self.postgres is not None and self.storage is not None:
            database = self._link(name, "database", self.postgres.port)
            storage = self._link(name, "storage", self.storage.port)
            environment |= {
                **KEYS,
                **REGION,
                "DATABASE_URL": self._database.replace(f":{self.postgres.port}/", f":{database}/"),
                "STORAGE_URL": self._bucket,
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{storage}",
            }
        if defect is not None:
            environment |= {"PYTHONPATH": str(PLANTED), "ADVERSARY_DEFECT": defect}
        host = Host(name, self.folder / f"{name}.log", environment)
        self._arm(host)
        return host

    def _link(self, name: str, service: str, port: int) -> int:
        return self.network.link(name, service, port).port

    def _arm(self, host: Host) -> None:
        """Preload what can break its disk and move its clock, where this machine has it."""
        libraries: list[str] = []
        if self._library is not None:
            control = self.folder / f"{host.name}.disk"
            # Its log too; what others write here is not preloaded.
            host.disk = FaultyDisk(self._library, control, self.folder)
            libraries.append(host.disk.environment["LD_PRELOAD"])
            host.environment |= host.disk.environment
        faketime = faketime_library()
        if faketime is not None:
            host.clock = self.folder / f"{host.name}.clock"
            host.clock.write_text("+0s\n")
            libraries.append(str(faketime))
            host.environment |= clock_environment(host.clock)
        if libraries:
            host.environment["LD_PRELOAD"] = " ".join(libraries)

    def home(self, name: str) -> Path:
        return self.folder / ("home" if self.mode == "sqlite" else name)

    def settings(self) -> Settings:
        """How this process reaches database and storage: without links or faults."""
        if self.mode == "sqlite":
            return Settings(home=self.home("app-a"))
        return Settings(
            home=self.folder / "driver", database_url=self._database, storage_url=self._bucket
        )

    def storage_environment(self) -> dict[str, str]:
        """The variables by which this process reaches the storage."""
        if self.storage is None:
            return {}
        return {**KEYS, **REGION, "AWS_ENDPOINT_URL": self.storage.url}

    # Services.

    def service(self, name: str) -> Server:
        """`database`, `storage` or `queue`."""
        services = {"database": self.postgres, "storage": self.storage, "queue": self.queue}
        service = services[name]
        assert service is not None
        return service

    def services(self) -> list[str]:
        return ["database", "storage", "queue"] if self.mode == "postgresql" else ["queue"]

    def processes(self, name: str) -> list[psutil.Process]:
        """Those of a host or a service, children first."""
        if name in self.hosts:
            return self.hosts[name].family()
        return family(self.service(name).process.pid)

    def is_ready(self, name: str) -> bool:
        """Whether an app reports that it is ready, requested without a faulty link."""
        try:
            answer = httpx.get(f"{self.direct_urls[name]}/health/ready", timeout=10)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    def restart_ended(self) -> list[str]:
        """Start hosts that ended by themselves, as `kao up` or a container engine does."""
        return [host.name for host in self.hosts.values() if host.restart_if_ended()]

    def close(self) -> None:
        """End every process and link."""
        for host in self.hosts.values():
            host.kill()
        self.network.close()
        self.queue.stop(signal.SIGKILL)
        if self.storage is not None:
            self.storage.stop(signal.SIGKILL)
        if self.postgres is not None:
            self.postgres.remove()
