"""Waiting for a condition, and free ports."""

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait(
    condition: Callable[[], T], seconds: float, goal: str | Callable[[], str] = "the condition"
) -> T:
    """The first true value of `condition`. Fails after so many seconds, and says what is missing.

    goal: a text, or a function that makes one when the wait has failed.
    """
    deadline, pause = time.monotonic() + seconds, 0.01
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = goal if isinstance(goal, str) else goal()
            raise AssertionError(f"not within {seconds:.0f} s: {text}")
        time.sleep(pause)
        pause = min(1.3 * pause, 0.25)  # an app allows ten calls a second


def free_port() -> int:
    """A TCP port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
