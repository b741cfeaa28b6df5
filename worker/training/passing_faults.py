"""Faults of the machine or network that may go away: they set a run back instead of failing it."""

import errno
from dataclasses import dataclass

import sqlalchemy as sa

from models.errors import StorageUnreachable
from worker.training import resource_errors

# Attempts in a row that such faults may end, without a new snapshot in between. The pauses between
# them double, so that 20 take over an hour; a full disk fails the run after three, since it takes a
# person to make room.
MOST, MOST_FULL = 20, 3
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0  # s
PASSING = {
    errno.EIO,
    errno.EROFS,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.EPIPE,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
}
# The messages of safetensors and of databases, which drop the error's number.
BROKEN = ("input/output error", "os error 5)", "disk i/o error")


@dataclass(frozen=True)
class Fault:
    """What happened, for people, and how many such faults in a row fail the run."""

    reason: str
    most: int = MOST


def recognise(error: BaseException) -> Fault | None:
    """The fault that an error shows; None for an error that a repetition would meet again."""
    if resource_errors.is_full_disk(error):
        return Fault(resource_errors.FULL_DISK, MOST_FULL)
    if isinstance(error, StorageUnreachable):
        return Fault(str(error))
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError):
        reason = str(getattr(error, "orig", None) or error).splitlines()[0][:200]
        return Fault(f"The database did not answer: {reason}")
    is_passing = isinstance(error, OSError) and error.errno in PASSING
    if is_passing or any(words in str(error).lower() for words in BROKEN):
        return Fault(f"A disk or connection of this machine failed: {error}"[:300])
    return None


def pause(count: int) -> float:
    """The seconds before the next attempt, after `count` earlier faults in a row."""
    return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2**count))
