"""Named places where a test may kill or stop this process; nothing anywhere else.

`KAO_FAIL_POINT=publish.renamed=SIGKILL` in a process's environment arms one. It is no setting:
it is read where it acts, is in no child's settings, and `docs/operations.md` does not offer it.
"""

import os
import signal

# In the order in which a publish passes them.
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
    """Send this process the signal that the environment has for `name`, if any."""
    point, _, number = os.environ.get("KAO_FAIL_POINT", "").partition("=")
    if point == name:
        os.kill(os.getpid(), signal.Signals[number])
