"""The training process: `python -m worker.training RUN FENCE`.

Started by `worker.supervisor` in a process group of its own, so that a crash ends nothing else. It
ends by itself when the supervisor's pipe closes, so that a kill -9 leaves no orphan. For several
training processes it becomes torchrun, which starts them; the pipe is theirs too.
"""

import fcntl
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa
import structlog
import torch
import torch.distributed as dist
from safetensors import SafetensorError

from models import logs, runs
from models.database.engine import connect
from models.errors import KaoError, StaleFence
from models.settings import Settings
from worker import database_retry
from worker.training import lockstep, resource_errors, transient_faults
from worker.training.divergence import Divergence
from worker.training.run import Attempt, HandedBack

log = structlog.get_logger()
T = TypeVar("T")

ORPHAN_EXIT_CODE = 76
MEMORY_ERRORS = (torch.OutOfMemoryError, MemoryError, OSError, RuntimeError, SafetensorError)


def main(run: str, number: str) -> None:
    """Train a run. Its end is recorded in the database; a crash only shows in the exit code."""
    logs.configure(logging.WARNING)
    settings = Settings()
    count = _process_count(settings)
    if count > 1 and "RANK" not in os.environ:
        _become_torchrun(count)
    threading.Thread(target=_exit_with_supervisor, daemon=True).start()
    local_processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(max(1, settings.parallel // local_processes))
    if int(os.environ.get("RANK", "0")) > 0:
        lockstep.follow(settings)
    else:
        _lead(settings, run, runs.Fence(int(number)))


def _process_count(settings: Settings) -> int:
    """The processes that train together on this host: one a GPU, or `KAO_PROCESSES`, if fewer."""
    # The count is NVML's, and stays above 0 where CUDA cannot use the driver.
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    count = settings.processes or max(1, gpus)
    if gpus and count > gpus:
        log.warning("processes.limited", processes=gpus, requested=count)
        return gpus
    return count


def _lead(settings: Settings, run: str, fence: runs.Fence) -> None:
    engine = connect(settings)
    row = runs.get(engine, run)
    if row["recipe"]["threads"]:
        torch.set_num_threads(row["recipe"]["threads"])
    attempt = Attempt(settings, engine, row, fence)
    try:
        attempt.listen()
        threading.Thread(target=_forward_requests, daemon=True).start()
        with (settings.home / "device.lock").open("w") as lock:
            # One run a host; the kernel frees the lock when this process dies.
            fcntl.flock(lock, fcntl.LOCK_EX)
            attempt.execute()
    except HandedBack:
        # torchrun sends SIGTERM too, where another process has died: the supervisor knows which.
        if not dist.is_torchelastic_launched():
            _record(lambda: runs.requeue(engine, run, fence, "stopped", is_stalled=False))
    except StaleFence as error:
        print(error, file=sys.stderr)
    except Exception as error:
        _end(engine, attempt, error)


def _end(engine: sa.Engine, attempt: Attempt, error: Exception) -> None:
    """Record an attempt that an error ended: queued again after a fault that may go away.

    Raises the error itself where it is a defect.
    """
    run, fence = attempt.run, attempt.fence
    if (fault := transient_faults.recognise(error)) is not None:
        log.warning("training.interrupted", run=run, reason=fault.reason)
        count = _record(lambda: runs.count_faults(engine, run))
        if count + 1 < fault.most and attempt.pause(transient_faults.pause_before_retry(count)):
            _record(lambda: runs.requeue(engine, run, fence, "stopped", is_stalled=False))
        else:
            _record(lambda: runs.requeue_after_fault(engine, run, fence, fault.reason, fault.most))
        return
    message = str(error) if isinstance(error, KaoError | Divergence) else None
    if isinstance(error, MEMORY_ERRORS):
        message = resource_errors.explain(error)
    if message is None:
        raise error
    _record(lambda: runs.finish(engine, run, fence, "fail", error=message))


def _record(change: Callable[[], T]) -> T:
    """The result of a change, as soon as the database answers. Exits where the run was taken over.

    Raises OperationalError where the database stays away.
    """
    try:
        return database_retry.retry(change)
    except StaleFence as error:
        print(error, file=sys.stderr)
        sys.exit(0)


def _become_torchrun(count: int) -> None:
    # The same process, so that SIGTERM goes on to reach it.
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    command = [sys.executable, *torchrun, "-m", "worker.training", *sys.argv[1:]]
    # torchrun sets one thread a process by default, and warns about it.
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    os.execve(sys.executable, command, environment)


def _exit_with_supervisor() -> None:
    """Exit when the supervisor's end of the pipe closes; what is in the pipe is left to rank 0."""
    pipe = select.poll()
    pipe.register(0, 0)  # no event but the hang-up, which is always reported
    pipe.poll()
    os._exit(ORPHAN_EXIT_CODE)


def _forward_requests() -> None:
    """Send this process SIGINT for each byte that `Supervisor.finish` writes.

    torchrun would answer a signal by killing, 30 s later, a run that still publishes.
    """
    # Raw reads: a daemon thread inside sys.stdin's lock would abort the interpreter's exit.
    while os.read(0, 1):
        os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main(*sys.argv[1:])
