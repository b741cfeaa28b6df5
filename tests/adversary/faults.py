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
from tests.adversary.schedule import PlannedFault
from tests.support.network import LinkFault

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

    def __init__(self, cluster: Cluster, faults: Sequence[PlannedFault]) -> None:
        self.cluster, self.history = cluster, list[Fault]()
        self._over = threading.Event()
        self._turns = {fault.target: threading.Lock() for fault in faults}
        self._began = time.monotonic()
        # Daemons: SIGTERM must end the driver in the middle of a round.
        self._threads = [
            threading.Thread(target=self._strike, args=(one,), daemon=True) for one in faults
        ]
        self._threads.append(threading.Thread(target=self._supervise, daemon=True))
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

    def _strike(self, fault: PlannedFault) -> None:
        if self._over.wait(self._began + fault.at - time.monotonic()):
            return
        with self._turns[fault.target]:
            if self._over.is_set():
                return
            start = time.monotonic()
            with self._fault(fault):
                log.info("adversary.fault", kind=fault.kind, target=fault.target)
                self._over.wait(fault.seconds)
            self.history.append(Fault(fault.kind, fault.target, start, time.monotonic()))

    def _supervise(self) -> None:
        """Start again what ended by itself, as a supervisor does."""
        while not self._over.wait(0.5):
            for name in self.cluster.restart_ended():
                now = time.monotonic()
                log.warning("adversary.ended_by_itself", host=name)
                self.history.append(Fault("exit", name, now, now))

    def _fault(self, fault: PlannedFault) -> contextlib.AbstractContextManager[None]:
        if fault.kind in LINK_FAULTS:
            return self._link(fault)
        if fault.kind in DISK_FAULTS:
            return self._disk(fault)
        return {
            "kill": self._kill,
            "pause": self._pause,
            "clock": self._clock,
            "damage": self._damage,
        }[fault.kind](fault)

    @contextlib.contextmanager
    def _link(self, fault: PlannedFault) -> Iterator[None]:
        network = self.cluster.network
        network.apply(fault.target, LINK_FAULTS[fault.kind], fault.amount)
        yield
        network.heal(fault.target)

    @contextlib.contextmanager
    def _kill(self, fault: PlannedFault) -> Iterator[None]:
        cluster, name = self.cluster, fault.target
        if name == "trainer":
            for victim in self._trainers(fault):
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
    def _pause(self, fault: PlannedFault) -> Iterator[None]:
        name = fault.target
        victims = self._trainers(fault) if name == "trainer" else self.cluster.processes(name)
        for victim in reversed(victims):
            with contextlib.suppress(psutil.Error):
                victim.suspend()
        yield
        for victim in victims:
            with contextlib.suppress(psutil.Error):
                victim.resume()

    def _trainers(self, fault: PlannedFault) -> list[psutil.Process]:
        """The training processes of one worker."""
        worker = random.Random(fault.amount).choice(WORKERS)
        return self.cluster.processes(worker)[:-1]

    @contextlib.contextmanager
    def _clock(self, fault: PlannedFault) -> Iterator[None]:
        clock = self.cluster.hosts[fault.target].clock
        if clock is None:
            yield
            return
        clock.write_text(f"{fault.amount:+.0f}s\n")
        yield
        clock.write_text("+0s\n")

    @contextlib.contextmanager
    def _disk(self, fault: PlannedFault) -> Iterator[None]:
        disk = self.cluster.hosts[fault.target].disk
        if disk is None:
            yield
            return
        disk.set(DISK_FAULTS[fault.kind])
        yield
        disk.set("none")

    @contextlib.contextmanager
    def _damage(self, fault: PlannedFault) -> Iterator[None]:
        """Flip bits of a model's file; without a bucket, nothing else could repair it."""
        path = self._choose_file(fault)
        if path is None:
            yield
            return
        whole = path.read_bytes()
        damaged_bytes = bytearray(whole)
        damaged_bytes[int(fault.amount * (len(whole) - 1))] ^= 0xFF
        path.write_bytes(damaged_bytes)
        yield
        if self.cluster.mode == "sqlite" and path.exists():
            path.write_bytes(whole)

    def _choose_file(self, fault: PlannedFault) -> Path | None:
        bundles = self.cluster.home(fault.target) / "store" / layout.BUNDLES
        paths = sorted(path for path in bundles.glob("[0-9a-f]*/*") if path.stat().st_size)
        return random.Random(fault.amount).choice(paths) if paths else None
