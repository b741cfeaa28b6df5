"""Fail points: named places where a test kills or stops the process. Inert otherwise.

`KAO_FAIL_POINT=publish.renamed=SIGKILL` in a process's environment arms one. It is not a setting:
it is read where it acts, children do not inherit it, and `docs/operations.md` does not list it.
"""

import os
import signal

# The points of a publication, in order.
PUBLISH = (
    "publish.begun",
    "publish.written",
    "publish.synced",
    "publish.renamed",
    "publish.guarded",
    "publish.registered",
    "publish.latest",
    "publish.default",
    "publish.ended",
    "publish.committed",
)


def fail_point(name: str) -> None:
    """Send this process the signal that the environment states for `name`, if any."""
    point, _, number = os.environ.get("KAO_FAIL_POINT", "").partition("=")
    if point == name:
        os.kill(os.getpid(), signal.Signals[number])
