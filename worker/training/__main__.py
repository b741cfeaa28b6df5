"""The training process: `python -m worker.training RUN FENCE`.

Started by `worker.supervisor` in a process group of its own, so that a fault here takes nothing
else down. It ends by itself when the supervisor's pipe closes, so that a kill -9 leaves no orphan.
"""

import fcntl
import os
import sys
import threading

import torch

from models import runs
from models.database import connect
from models.datasets.images import DatasetError
from models.errors import KaoError, StaleFence
from models.settings import Settings
from worker.training import HANDED_BACK
from worker.training.attempt import Attempt, HandedBack
from worker.training.watch import Diverged

ORPHANED = 76


def main(run: str, number: str) -> int:
    """The process's exit code; the run's state in the database tells the rest."""
    threading.Thread(target=_die_with_the_supervisor, daemon=True).start()
    settings, fence = Settings(), runs.Fence(int(number))
    engine = connect(settings)
    row = runs.get(engine, run)
    torch.set_num_threads(row["recipe"]["threads"] or settings.threads or _cores())
    attempt = Attempt(settings, engine, row, fence)
    attempt.listen()
    try:
        with (settings.home / "device.lock").open("w") as lock:
            # One run a device; the kernel frees the lock when this process dies.
            fcntl.flock(lock, fcntl.LOCK_EX)
            attempt.go()
    except HandedBack:
        return HANDED_BACK
    except StaleFence as error:
        print(error, file=sys.stderr)
    except (KaoError, DatasetError, Diverged) as error:
        runs.finish(engine, run, fence, "fail", error=str(error))
    except torch.OutOfMemoryError:
        runs.finish(
            engine,
            run,
            fence,
            "fail",
            error="The GPU has too little memory for this recipe: lower `batch`, `width`, "
            "`discriminator_width` or `resolution`.",
        )
    return 0


def _die_with_the_supervisor() -> None:
    # Raw reads: a daemon thread inside sys.stdin's lock would abort the interpreter's exit.
    while os.read(0, 1):
        pass
    os._exit(ORPHANED)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
