"""Ends the process when a drawing thread is stuck, so that its supervisor starts another one.

A thread that hangs in native code can be neither interrupted nor replaced: it keeps its memory, and
an orderly shutdown would wait for it for ever.
"""

import os
import sys
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

STUCK = 120.0  # s that a drawing may run; its client got a 503 after half of it
NOTICE = 5.0  # s between failing liveness and the end, in which other pictures are finished
LAST = 11.0  # s that a shutdown may take; a supervisor kills after 12 or more
INTERVAL = 0.5  # s
EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h


class Watchdog:
    """A thread that watches the longest drawing, and a shutdown once it has begun.

    longest_run: seconds since the oldest drawing started. is_stopping: whether the server ends.
    """

    def __init__(
        self,
        longest_run: Callable[[], float],
        is_stopping: Callable[[], bool],
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._longest_run, self._is_stopping, self._end = longest_run, is_stopping, end
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        stopping_since: float | None = None
        while not self._stopped.wait(INTERVAL):
            if is_stuck(self._longest_run()):
                log.critical("drawing.stuck", seconds=round(self._longest_run()))
                self._stopped.wait(NOTICE)
                if is_stuck(self._longest_run()):  # else the process or its machine was frozen
                    return self._exit(EXIT_CODE)
            if self._is_stopping():
                stopping_since = stopping_since or time.monotonic()
                if time.monotonic() - stopping_since > LAST:
                    log.error("shutdown.forced", seconds=LAST)
                    return self._exit(EXIT_CODE)

    def _exit(self, code: int) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self._end(code)


def is_stuck(seconds: float) -> bool:
    """Whether a drawing that runs for so long is stuck."""
    return seconds > STUCK
