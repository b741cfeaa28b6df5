"""Ends drawings that no request waits for, between two faces or frames.

A thread cannot be cancelled from outside: the loops over faces and frames call `check`, which
raises once the result is not wanted any more.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_local = threading.local()


class InterruptedDrawingError(Exception):
    """Every client that waited for this drawing is gone, or its deadline has passed."""


@contextmanager
def interruptible(is_wanted: Callable[[], bool]) -> Iterator[None]:
    """Let `check` in this thread raise as soon as `is_wanted` is false."""
    _local.is_wanted = is_wanted
    try:
        yield
    finally:
        del _local.is_wanted


def check() -> None:
    """Raise InterruptedDrawingError where this thread's work is no longer wanted."""
    is_wanted: Callable[[], bool] | None = getattr(_local, "is_wanted", None)
    if is_wanted is not None and not is_wanted():
        raise InterruptedDrawingError
