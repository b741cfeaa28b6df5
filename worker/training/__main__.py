"""The training process: `python -m worker.training RUN FENCE`.

Started by `worker.supervisor` in a process group of its own, so that a crash ends nothing else. It
ends by itself when the supervisor's pipe closes, so that a kill -9 leaves no orphan. For several
training processes it becomes torchrun, which starts them.
"""

import fcntl
import os
import sys
import threading

import torch
from safetensors import SafetensorError

from models import runs
from models.database.engine import connect
from models.errors import KaoError, StaleFence
from models.settings import Settings
from worker.training import lockstep, resource_errors
from worker.training.divergence import Divergence
from worker.training.run import Attempt, HandedBack

ORPHAN_EXIT_CODE = 76


def main(run: str, number: str) -> None:
    """Train a run. Its end is recorded in the database; a crash only shows in the exit code."""
    settings = Settings()
    count = settings.processes or max(1, torch.cuda.device_count())
    if count > 1 and "RANK" not in os.environ:
        _become_torchrun(count)
    threading.Thread(target=_exit_with_supervisor, daemon=True).start()
    local_processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(max(1, settings.parallel // local_processes))
    if int(os.environ.get("RANK", "0")) > 0:
        lockstep.follow(settings)
    else:
        _lead(settings, run, runs.Fence(int(number)))


def _lead(settings: Settings, run: str, fence: runs.Fence) -> None:
    engine = connect(settings)
    row = runs.get(engine, run)
    if row["recipe"]["threads"]:
        torch.set_num_threads(row["recipe"]["threads"])
    attempt = Attempt(settings, engine, row, fence)
    attempt.listen()
    try:
        with (settings.home / "device.lock").open("w") as lock:
            # One run a host; the kernel frees the lock when this process dies.
            fcntl.flock(lock, fcntl.LOCK_EX)
            attempt.execute()
    except HandedBack:
        runs.requeue(engine, run, fence, "stopped", stalled=False)
    except StaleFence as error:
        print(error, file=sys.stderr)
    except (KaoError, Divergence) as error:
        runs.finish(engine, run, fence, "fail", error=str(error))
    except (torch.OutOfMemoryError, MemoryError, OSError, RuntimeError, SafetensorError) as error:
        explanation = resource_errors.explain(error)
        if explanation is None:
            raise
        runs.finish(engine, run, fence, "fail", error=explanation)


def _become_torchrun(count: int) -> None:
    # The same process, so that the supervisor's pipe and signals go on to reach it.
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    command = [sys.executable, *torchrun, "-m", "worker.training", *sys.argv[1:]]
    # torchrun sets one thread a process by default, and warns about it.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    os.execve(sys.executable, command, environment)


def _exit_with_supervisor() -> None:
    # Raw reads: a daemon thread inside sys.stdin's lock would abort the interpreter's exit.
    while os.read(0, 1):
        pass
    os._exit(ORPHAN_EXIT_CODE)


if __name__ == "__main__":
    main(*sys.argv[1:])
