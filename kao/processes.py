"""Child processes of one terminal: started in order, restarted when they die, stopped in turn."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger()

STEADY = 10.0  # s; a child that lived this long starts afresh without delay
LONGEST_DELAY = 15.0


@dataclass
class Child:
    """One process to keep running. grace: seconds between SIGTERM and SIGKILL."""

    name: str
    command: list[str]
    environment: dict[str, str]
    grace: float
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay: float = 0.5
    due: float = 0.0

    def start(self) -> None:
        # A group of its own: Ctrl-C reaches the parent alone, which stops everything in order.
        self.process = subprocess.Popen(
            self.command, env={**os.environ, **self.environment}, process_group=0
        )
        self.started = time.monotonic()
        log.info("child.started", child=self.name, pid=self.process.pid)

    def tend(self) -> None:
        """Notice a death, and start again when its delay is over."""
        here = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            steady = here - self.started > STEADY
            self.delay = 0.5 if steady else min(LONGEST_DELAY, self.delay * 2)
            log.warning(
                "child.died", child=self.name, code=self.process.returncode, again_in=self.delay
            )
            self.process, self.due = None, here + self.delay
        if self.process is None and here >= self.due:
            self.start()

    def stop(self) -> None:
        """SIGTERM, wait, SIGKILL."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(self.grace)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        log.info("child.stopped", child=self.name, code=self.process.returncode)


@dataclass
class Processes:
    """Children in the order of starting; they stop in the opposite one."""

    children: list[Child]
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until SIGINT or SIGTERM; call it from the main thread."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.stopping.set())
        try:
            while not self.stopping.is_set():
                for child in self.children:
                    child.tend()
                self.stopping.wait(0.2)
        finally:
            for child in reversed(self.children):
                child.stop()
