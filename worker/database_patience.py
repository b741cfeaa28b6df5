"""Waits for a database that does not answer, where giving up would lose the end of an attempt."""

import time
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
import structlog

from worker import clocks

log = structlog.get_logger()
T = TypeVar("T")

SECONDS = 600.0  # then the error is raised
INTERVAL = 1.0  # s


def repeat(change: Callable[[], T], is_over: Callable[[], bool] = lambda: False) -> T:
    """The result of a change or query, as soon as the database answers.

    is_over: whether to give up at the next error. Raises OperationalError then, or after SECONDS.
    """
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return change()
        except sa.exc.OperationalError as error:
            if is_over() or time.monotonic() > deadline:
                raise
            log.warning("database.awaited", reason=type(error.orig).__name__)
        clocks.sleep(INTERVAL)
