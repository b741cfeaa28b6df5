"""Child processes of one terminal: started in order, restarted when they die, stopped in turn.

They end with their parent, however it ends: on Linux the kernel sends them SIGTERM.
"""

import contextlib
import ctypes
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

log = structlog.get_logger()

STEADY = 10.0  # s; after a life this long the next delay is FIRST_DELAY again
FIRST_DELAY = 0.5  # s before a restart
LONGEST_DELAY = 15.0  # s before a restart
PR_SET_PDEATHSIG = 1  # prctl(2)
# Looked up here: between fork and exec, loading a library could wait for a lock for ever.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass
class Child:
    """One process to keep running.

    grace: seconds between SIGTERM and SIGKILL. output: a file for its output, instead of this
    terminal. after_death: called with the exit code before the next start. descriptors: open files
    that the child inherits, and keeps locked.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    grace: float
    output: Path | None = None
    after_death: Callable[[int], None] | None = None
    descriptors: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    delay: float = FIRST_DELAY
    next_start: float = 0.0

    def start(self) -> None:
        """Start the process. Call it from the main thread: the kernel watches the thread."""
        parent = os.getpid()
        with contextlib.ExitStack() as stack:
            output = None if self.output is None else stack.enter_context(self.output.open("wb"))
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdout=output,
                stderr=None if output is None else subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches the parent alone, which stops all in order.
                process_group=0,
                pass_fds=self.descriptors,
                preexec_fn=lambda: end_with_parent(parent),
            )
        self.started_at = time.monotonic()
        log.info("child.started", child=self.name, pid=self.process.pid)

    def check(self) -> None:
        """Notice a death, and restart the process when its delay is over."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            code = self.process.returncode
            steady = now - self.started_at > STEADY
            self.delay = FIRST_DELAY if steady else min(LONGEST_DELAY, self.delay * 2)
            log.warning("child.died", child=self.name, code=code, again_in=self.delay)
            if self.after_death is not None:
                self.after_death(code)
            self.process, self.next_start = None, now + self.delay
        if self.process is None and now >= self.next_start:
            self.start()

    def stop(self) -> None:
        """Send SIGTERM, and SIGKILL to what has not ended after `grace` seconds."""
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
        """Keep the children running until SIGINT, SIGTERM or SIGHUP (a closed terminal).

        Call it from the main thread.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.stopping.set())
        on_hangup(self.stopping.set)
        try:
            while not self.stopping.is_set():
                for child in self.children:
                    child.check()
                self.stopping.wait(0.2)
        finally:
            for child in reversed(self.children):
                child.stop()


def end_with_parent(parent: int) -> None:
    """Let the kernel send SIGTERM to this process when its parent ends (Linux only).

    Runs between fork and exec. parent: the process id of the parent, which may be gone already.
    """
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def on_hangup(action: Callable[[], None]) -> None:
    """Run `action` when the terminal closes. From then on, output to the terminal is dropped.

    Writing to a closed terminal raises OSError, which would interrupt an orderly stop. Nothing
    happens where the signal is ignored already: `nohup` was asked to let the process go on.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return

    def handle(*_: object) -> None:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.dup2(null, descriptor)
        action()

    signal.signal(signal.SIGHUP, handle)
