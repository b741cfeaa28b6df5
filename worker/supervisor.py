"""Starts the training process of a claimed run, keeps its lease, and settles how it ended."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import sqlalchemy as sa
import structlog

from models import runs
from models.errors import StaleFence
from models.runs import Fence
from models.settings import Settings
from models.storage import layout

log = structlog.get_logger()

GRACE = 20.0  # s to write a snapshot before SIGKILL, so that a worker is gone within 30
TOLD = 2_000  # characters of the process's last words kept in the run's error


class Supervisor:
    """One attempt, watched from outside. `hand_back()` may be called from a signal handler."""

    def __init__(
        self, settings: Settings, engine: sa.Engine, run: str, fence: Fence, terminal: bool = False
    ) -> None:
        self.settings, self.engine, self.run, self.fence = settings, engine, run, fence
        self.terminal = terminal
        self.stopping = False
        self.process: subprocess.Popen[bytes] | None = None
        self._asked_at: float | None = None

    def watch(self) -> str:
        """Run the process to its end; the run's state then."""
        folder = self.settings.home / layout.run(self.run)
        folder.mkdir(parents=True, exist_ok=True)
        words = folder / "log.txt"
        with contextlib.ExitStack() as stack:
            errors = None if self.terminal else stack.enter_context(words.open("ab"))
            self.process = process = subprocess.Popen(
                [sys.executable, "-m", "worker.training", self.run, str(self.fence)],
                stdin=subprocess.PIPE,
                stderr=errors,
                stdout=errors,
                env={**os.environ, **self.settings.environment()},
                process_group=0,
            )
            log.info("training.started", run=self.run, pid=process.pid)
            done = threading.Event()
            # A thread, so that a slow database cannot delay noticing the process's end.
            beating = threading.Thread(target=self._beat, args=(done,), daemon=True)
            beating.start()
            code = process.wait()
            assert process.stdin is not None
            process.stdin.close()
            done.set()
            beating.join()
        return self._settle(code, words)

    def _beat(self, done: threading.Event) -> None:
        # Several beats fit into a lease, so that one slow write does not lose it.
        while not done.wait(min(1.0, self.settings.lease_seconds / 5)):
            if self.stopping:
                self._ask(signal.SIGTERM)
            try:
                if runs.beat(self.engine, self.run, self.fence):
                    self._ask(signal.SIGTERM)
            except StaleFence:
                # Somebody else trains this run now, or it has just ended.
                if not done.wait(5):
                    self.kill()
                return
            except sa.exc.SQLAlchemyError as error:
                # Whatever ails the database: without this thread the lease would be lost.
                log.warning("lease.beat_failed", run=self.run, reason=type(error).__name__)

    def hand_back(self) -> None:
        """Snapshot, stop, and let another worker go on. One that has not begun is told later."""
        self.stopping = True
        self._ask(signal.SIGTERM)

    def finish(self) -> None:
        """Publish what is there."""
        self._ask(signal.SIGINT)

    def kill(self) -> None:
        """At once."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _ask(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)
        elif number == signal.SIGTERM and time.monotonic() - self._asked_at > GRACE:
            self.kill()

    def _settle(self, code: int, words: Path) -> str:
        try:
            row = runs.get(self.engine, self.run)
            state = str(row["state"])
            if row["fence"] == self.fence and state == "running":
                reason = f"the training process ended with {_how(code)}{self._last_words(words)}"
                # Told to stop before it could hear, it died of the signal: no fault of the run.
                stalled = not self.stopping
                state = runs.requeue(self.engine, self.run, self.fence, reason, stalled)
        except StaleFence:
            state = "stale"
        log.info("training.ended", run=self.run, code=code, state=state)
        return state

    def _last_words(self, words: Path) -> str:
        if self.terminal or not words.exists():
            return ""
        text = words.read_bytes()[-TOLD:].decode(errors="replace").strip()
        # The last line of a traceback names the error; the whole is in the run's log.
        return f": {text.splitlines()[-1][:500]}" if text else ""


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
