"""Faults of the machine or network that may go away: they requeue a run instead of failing it."""

import errno
from dataclasses import dataclass

import sqlalchemy as sa

from models.errors import StorageUnreachable
from worker.training import resource_errors

# Faults in a row, without a new snapshot in between, of which the last fails the run. The pauses
# between them double, so that 20 take over an hour; a full disk fails the run earlier, since it
# takes a person to make room.
MOST_FAULTS, MOST_FULL_DISKS = 20, 3
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0  # s
ERROR_NUMBERS = {
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
# Parts of the messages of safetensors and of databases, which drop the error's number.
MESSAGES = ("input/output error", "os error 5)", "disk i/o error")


@dataclass(frozen=True)
class Fault:
    """reason: a sentence. most: how many such faults in a row fail the run."""

    reason: str
    most: int = MOST_FAULTS


def recognise(error: BaseException) -> Fault | None:
    """The fault behind an error; None for an error that another attempt would raise again."""
    if resource_errors.is_full_disk(error):
        return Fault(resource_errors.FULL_DISK, MOST_FULL_DISKS)
    if isinstance(error, StorageUnreachable):
        return Fault(str(error))
    if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError):
        lines = str(getattr(error, "orig", None) or error).splitlines()  # may be empty
        reason = (lines or [type(error).__name__])[0][:200]
        return Fault(f"The database did not answer: {reason}")
    is_passing = isinstance(error, OSError) and error.errno in ERROR_NUMBERS
    if is_passing or any(words in str(error).lower() for words in MESSAGES):
        return Fault(f"A disk or connection of this machine failed: {error}"[:300])
    return None


def pause_before_retry(count: int) -> float:
    """The seconds before the next attempt, after `count` earlier faults in a row."""
    return float(min(LONGEST_PAUSE, FIRST_PAUSE * 2**count))
