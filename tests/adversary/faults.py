"""Carries out the faults of a schedule, and mends each after its time or at the round's end."""

import contextlib
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import structlog

from models.storage import layout
from tests.adversary.cluster import WORKERS, Cluster
from tests.adversary.disk_faults import DiskFault
from tests.adversary.history import Fault
from tests.adversary.network import LinkFault
from tests.adversary.schedule import Planned

log = structlog.get_logger()

LINK_FAULTS: dict[str, LinkFault] = {
    "delay": "delay",
    "cut": "cut",
    "half-open": "half-open",
    "partition": "partition",
}
DISK_FAULTS: dict[str, DiskFault] = {"full": "full", "broken": "broken"}


class Injector:
    """One thread a fault; those on one target take turns."""

    def __init__(self, cluster: Cluster, faults: Sequence[Planned]) -> None:
        self.cluster, self.history = cluster, list[Fault]()
        self._over = threading.Event()
        self._turns = {fault.target: threading.Lock() for fault in faults}
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._strike, args=(one,)) for one in faults]
        self._threads.append(threading.Thread(target=self._supervise))
        for thread in self._threads:
            thread.start()

    def finish(self) -> list[Fault]:
        """Mend all that is broken; the faults that there were."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        for name in self.cluster.network.links:
            self.cluster.network.heal(name)
        return self.history

    def _strike(self, planned: Planned) -> None:
        if self._over.wait(self._began + planned.at - time.monotonic()):
            return
        with self._turns[planned.target]:
            if self._over.is_set():
                return
            start = time.monotonic()
            with self._fault(planned):
                log.info("adversary.fault", kind=planned.kind, target=planned.target)
                self._over.wait(planned.seconds)
            self.history.append(Fault(planned.kind, planned.target, start, time.monotonic()))

    def _supervise(self) -> None:
        """Start again what ended by itself, as a supervisor does."""
        while not self._over.wait(0.5):
            for name in self.cluster.restart_ended():
                now = time.monotonic()
                log.warning("adversary.ended_by_itself", host=name)
                self.history.append(Fault("exit", name, now, now))

    def _fault(self, planned: Planned) -> contextlib.AbstractContextManager[None]:
        if planned.kind in LINK_FAULTS:
            return self._link(planned)
        if planned.kind in DISK_FAULTS:
            return self._disk(planned)
        return {
            "kill": self._kill,
            "pause": self._pause,
            "clock": self._clock,
            "damage": self._damage,
        }[planned.kind](planned)

    @contextlib.contextmanager
    def _link(self, planned: Planned) -> Iterator[None]:
        network = self.cluster.network
        network.apply(planned.target, LINK_FAULTS[planned.kind], planned.amount)
        yield
        network.heal(planned.target)

    @contextlib.contextmanager
    def _kill(self, planned: Planned) -> Iterator[None]:
        cluster, name = self.cluster, planned.target
        if name == "trainer":
            for victim in self._trainers(planned):
                with contextlib.suppress(psutil.Error):
                    victim.kill()
            yield
        elif name in cluster.hosts:
            cluster.hosts[name].kill()
            yield
            cluster.hosts[name].start()
        else:
            cluster.service(name).stop(signal.SIGKILL)
            yield
            cluster.service(name).start()

    @contextlib.contextmanager
    def _pause(self, planned: Planned) -> Iterator[None]:
        name = planned.target
        victims = self._trainers(planned) if name == "trainer" else self.cluster.processes(name)
        for victim in reversed(victims):
            with contextlib.suppress(psutil.Error):
                victim.suspend()
        yield
        for victim in victims:
            with contextlib.suppress(psutil.Error):
                victim.resume()

    def _trainers(self, planned: Planned) -> list[psutil.Process]:
        """The training processes of one worker."""
        worker = random.Random(planned.amount).choice(WORKERS)
        return self.cluster.processes(worker)[:-1]

    @contextlib.contextmanager
    def _clock(self, planned: Planned) -> Iterator[None]:
        clock = self.cluster.hosts[planned.target].clock
        if clock is None:
            yield
            return
        clock.write_text(f"{planned.amount:+.0f}s\n")
        yield
        clock.write_text("+0s\n")

    @contextlib.contextmanager
    def _disk(self, planned: Planned) -> Iterator[None]:
        disk = self.cluster.hosts[planned.target].disk
        if disk is None:
            yield
            return
        disk.set(DISK_FAULTS[planned.kind])
        yield
        disk.set("none")

    @contextlib.contextmanager
    def _damage(self, planned: Planned) -> Iterator[None]:
        """Flip bits of a model's file; without a bucket, nothing else could repair it."""
        path = self._choose_file(planned)
        if path is None:
            yield
            return
        whole = path.read_bytes()
        damaged = bytearray(whole)
        damaged[int(planned.amount * (len(whole) - 1))] ^= 0xFF
        path.write_bytes(damaged)
        yield
        if self.cluster.mode == "sqlite" and path.exists():
            path.write_bytes(whole)

    def _choose_file(self, planned: Planned) -> Path | None:
        bundles = self.cluster.home(planned.target) / "store" / layout.BUNDLES
        paths = sorted(path for path in bundles.glob("[0-9a-f]*/*") if path.stat().st_size)
        return random.Random(planned.amount).choice(paths) if paths else None
