"""Waits that a jump of the machine's clock does not break."""

import threading


def sleep(seconds: float) -> None:
    """Wait so many seconds.

    time.sleep waits for a moment of the clock instead, and fails where that jumps, as it does in a
    virtual machine that was paused.
    """
    threading.Event().wait(seconds)
