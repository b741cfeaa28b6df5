"""Starts the training process of a claimed run, keeps its lease, and records how it ended."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import sqlalchemy as sa
import structlog

from models import runs
from models.errors import StaleFence
from models.runs import Fence
from models.settings import Settings
from models.storage import layout
from worker import database_retry

log = structlog.get_logger()

GRACE = 20.0  # s to write a snapshot before SIGKILL, so that a worker is gone within 30
TAIL = 200_000  # bytes of the process's output in which the error is looked for
# The line that names an error, of Python, of a process of torchrun, or in torchrun's report.
ERROR_LINE = re.compile(
    r"^(?:\[rank\d+\]: ?)?((?!torch\.distributed\.elastic)[\w.]+(?:Error|Exception)\b.*)$"
    r"|^ *traceback *: (Signal .*)$",
    re.MULTILINE,
)


class Supervisor:
    """One attempt, watched from outside. Signal handlers may call `hand_back()` and `finish()`.

    prints_to_terminal: the training process prints there; else to the run's log.txt.
    """

    def __init__(
        self,
        settings: Settings,
        engine: sa.Engine,
        run: str,
        fence: Fence,
        prints_to_terminal: bool = False,
    ) -> None:
        self.settings, self.engine, self.run, self.fence = settings, engine, run, fence
        self.prints_to_terminal = prints_to_terminal
        self.is_stopping = False
        self.is_finishing = False
        self.process: subprocess.Popen[bytes] | None = None
        self._terminated_at: float | None = None
        self._output_start = 0  # bytes of earlier attempts in the run's log

    def watch(self) -> str:
        """Run the process to its end. Returns the state that the run then has."""
        folder = self.settings.home / layout.run(self.run)
        folder.mkdir(parents=True, exist_ok=True)
        output = folder / "log.txt"
        if output.exists():
            self._output_start = output.stat().st_size
        with contextlib.ExitStack() as stack:
            stream = None if self.prints_to_terminal else stack.enter_context(output.open("ab"))
            self.process = process = subprocess.Popen(
                [sys.executable, "-m", "worker.training", self.run, str(self.fence)],
                stdin=subprocess.PIPE,
                stderr=stream,
                stdout=stream,
                env={**os.environ, **self.settings.environment()},
                process_group=0,
            )
            log.info("training.started", run=self.run, pid=process.pid)
            if self.is_finishing:
                self.finish()
            process_end = threading.Event()
            # A thread, so that a slow database cannot delay noticing the process's end.
            heart = threading.Thread(target=self._beat, args=(process_end,), daemon=True)
            heart.start()
            code = process.wait()
            assert process.stdin is not None
            process.stdin.close()
            process_end.set()
            heart.join()
        return self._record_end(code, output)

    def hand_back(self) -> None:
        """Let the process write a snapshot and stop, so that another worker can go on.

        A process that is not ready for signals yet gets the signal later.
        """
        self.is_stopping = True
        self._terminate()

    def finish(self) -> None:
        """Let the process publish what it has trained so far, and stop.

        The request waits in a pipe until the process is ready for it.
        """
        self.is_finishing = True
        if self.process is not None and self.process.stdin is not None:
            # BrokenPipeError, or ValueError for a closed file: the process has ended.
            with contextlib.suppress(OSError, ValueError):
                os.write(self.process.stdin.fileno(), b"\0")

    def kill(self) -> None:
        """Kill the process and its children."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _beat(self, process_end: threading.Event) -> None:
        # Several beats fit into a lease, so that one slow write does not lose it.
        while not process_end.wait(min(1.0, self.settings.lease_seconds / 5)):
            if self.is_stopping:
                self._terminate()
            try:
                if runs.beat(self.engine, self.run, self.fence):
                    self._terminate()
            except StaleFence:
                # Another worker trains this run now, or it has just ended.
                if not process_end.wait(5):
                    self.kill()
                return
            except sa.exc.SQLAlchemyError as error:
                # Whatever is wrong with the database: without this thread the lease would be lost.
                log.warning("lease.beat_failed", run=self.run, reason=type(error).__name__)

    def _terminate(self) -> None:
        """Send the process SIGTERM; SIGKILL when that had no effect for GRACE."""
        if self.process is None:
            return
        if self._terminated_at is None:
            self._terminated_at = time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
        elif time.monotonic() - self._terminated_at > GRACE:
            self.kill()

    def _record_end(self, code: int, output: Path) -> str:
        """Requeue a run that its process left running; its state.

        A database that does not answer is awaited: otherwise the lease would have to run out.
        """
        record_end = partial(self._record_end_once, code, output)
        return database_retry.retry(record_end, lambda: self.is_stopping)

    def _record_end_once(self, code: int, output: Path) -> str:
        try:
            row = runs.get(self.engine, self.run)
            state = str(row["state"])
            if row["fence"] == self.fence and state == "running":
                end = f"{_describe_exit(code)}{self._describe_error(output)}"
                reason = f"the training process ended with {end}"
                if self.is_stopping and code != -signal.SIGKILL:
                    reason = "stopped"
                # A stop signal before the process could handle it: no fault of the run.
                is_stalled = not self.is_stopping
                state = runs.requeue(self.engine, self.run, self.fence, reason, is_stalled)
        except StaleFence:
            state = "stale"
        log.info("training.ended", run=self.run, code=code, state=state)
        return state

    def _describe_error(self, output: Path) -> str:
        """The line of this attempt's output that names the error; the whole is in the run's log.

        It is the last one. Of several processes it is the first error, which made the others fail:
        torchrun's own report comes last.
        """
        if self.prints_to_terminal or not output.exists():
            return ""
        text = output.read_bytes()[self._output_start :][-TAIL:].decode(errors="replace").strip()
        line = text.splitlines()[-1] if text else ""
        if "ChildFailedError" in text and (first_error := ERROR_LINE.search(text)):
            line = first_error[1] or first_error[2]
        return f": {line[:500]}" if line else ""


def _describe_exit(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
