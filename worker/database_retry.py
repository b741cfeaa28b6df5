"""Repeats operations until the database answers, where an attempt's end would else be lost."""

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


def retry(operation: Callable[[], T], should_stop: Callable[[], bool] = lambda: False) -> T:
    """The result of an operation, as soon as the database answers.

    should_stop: whether to give up at the next error. Raises OperationalError then, or after
    SECONDS.
    """
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return operation()
        except sa.exc.OperationalError as error:
            if should_stop() or time.monotonic() > deadline:
                raise
            log.warning("database.awaited", reason=type(error.orig).__name__)
        clocks.sleep(INTERVAL)
