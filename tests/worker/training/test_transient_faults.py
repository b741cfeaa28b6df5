"""A fault that may go away requeues a run; it does not fail it."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from safetensors import SafetensorError

from models import runs
from models.errors import BadBundle, DatasetError, StorageUnreachable
from models.runs import Fence
from models.settings import Settings
from models.storage.blob_store import Blobs
from tests.support.fixtures import Begin
from tests.worker.training.types import Attempts, EventsOf
from worker import database_retry
from worker.supervisor import Supervisor
from worker.training import __main__ as process, resource_errors, transient_faults
from worker.training.run import Attempt

AWAY = StorageUnreachable("The storage refused or did not answer: timed out")
LOCKED = sa.exc.OperationalError("UPDATE", {}, Exception("database is locked"))


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(AWAY, id="bucket"),
        pytest.param(LOCKED, id="database"),
        pytest.param(OSError(errno.EIO, "Input/output error"), id="disk"),
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), id="full"),
        pytest.param(ConnectionResetError(errno.ECONNRESET, "reset"), id="connection"),
        pytest.param(
            SafetensorError('IoError(Os { code: 5, message: "Input/output error" })'), id="weights"
        ),
    ],
)
def test_a_fault_that_may_go_away_is_recognised(error: Exception) -> None:
    assert transient_faults.recognise(error) is not None


@pytest.mark.parametrize(
    "error",
    [
        DatasetError("The dataset has changed since this run began; start a new run."),
        BadBundle("is damaged"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_that_another_attempt_would_raise_again_fails_the_run(error: Exception) -> None:
    assert transient_faults.recognise(error) is None


def test_a_bucket_that_is_away_for_a_while_fails_no_run(
    attempt: Attempts,
    pictures: Path,
    engine: sa.Engine,
    events_of: EventsOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Attempt, "pause", lambda *_: False)
    put, failures = Blobs.put, iter([AWAY] * runs.MOST_STALLS)

    def put_later(self: Blobs, path: Path, name: str | None = None) -> None:
        for failure in failures:
            raise failure
        put(self, path, name)

    monkeypatch.setattr(Blobs, "put", put_later)
    run = attempt(pictures)
    for count in range(1, runs.MOST_STALLS + 1):
        with pytest.raises(StorageUnreachable) as failure:
            run.execute()
        process._end(engine, run, failure.value)
        row = runs.get(engine, run.run)
        assert (row["state"], row["stalls"]) == ("queued", 0)
        assert runs.count_faults(engine, run.run) == count
        claim = runs.claim(engine, run.run)
        assert claim is not None
        run = Attempt(run.settings, engine, *claim)
    run.execute()
    assert runs.get(engine, run.run)["state"] == "succeeded"
    reasons = [event["reason"] for event in events_of(run, "run.requeued")]
    assert reasons == [str(AWAY)] * runs.MOST_STALLS


def test_faults_that_do_not_end_fail_the_run_with_their_reason(
    attempt: Attempts, pictures: Path, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(_: Attempt, seconds: float) -> bool:
        pauses.append(seconds)
        return False

    monkeypatch.setattr(Attempt, "pause", pause)
    run = attempt(pictures)
    run.reporter.close()
    for _ in range(transient_faults.MOST_FULL_DISKS - 1):
        process._end(engine, run, OSError(errno.ENOSPC, "No space left on device"))
        claim = runs.claim(engine, run.run)
        assert claim is not None
        run = Attempt(run.settings, engine, *claim)
        run.reporter.close()
    process._end(engine, run, OSError(errno.ENOSPC, "No space left on device"))
    row = runs.get(engine, run.run)
    assert (row["state"], row["error"]) == ("failed", resource_errors.FULL_DISK)
    assert pauses == [transient_faults.pause_before_retry(count) for count in range(len(pauses))]
    assert sum(map(transient_faults.pause_before_retry, range(transient_faults.MOST_FAULTS))) > 3600


def test_a_snapshot_forgets_earlier_faults(engine: sa.Engine, begin: Begin) -> None:
    run, fence = begin("running")
    for most in (3, 4):
        assert runs.requeue_after_fault(engine, run, fence, "away", most) == "queued"
        claim = runs.claim(engine, run)
        assert claim is not None
        fence = claim[1]
        runs.snapshot(engine, run, fence, f"00000000001{most}.pt", {})
        assert runs.count_faults(engine, run) == 0
    assert runs.requeue_after_fault(engine, run, fence, "away", 2) == "queued"


def test_the_last_snapshot_written_again_forgets_no_fault(engine: sa.Engine, begin: Begin) -> None:
    """Each attempt to publish writes it again, so a disk that stays full was tried for ever."""
    run, fence = begin("running")
    states = []
    for _ in range(transient_faults.MOST_FULL_DISKS):
        runs.snapshot(engine, run, fence, "000000000010.pt", {"images": 10})
        most = transient_faults.MOST_FULL_DISKS
        states.append(runs.requeue_after_fault(engine, run, fence, "full", most))
        if (claim := runs.claim(engine, run)) is not None:
            fence = claim[1]
    assert states == ["queued", "queued", "failed"]


def test_a_fault_without_a_message_is_recognised() -> None:
    fault = transient_faults.recognise(sa.exc.OperationalError("SELECT 1", {}, OSError()))
    assert fault is not None
    assert "OperationalError" in fault.reason


def test_the_end_of_an_attempt_waits_for_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []
    monkeypatch.setattr(database_retry, "INTERVAL", 0.001)

    def change() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise LOCKED
        return "done"

    assert process._record(change) == "done"
    assert len(tries) == 3


def test_a_supervisor_waits_for_the_database_before_it_gives_a_run_up(
    settings: Settings, engine: sa.Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, fence = begin("running")
    get: Callable[..., runs.Row] = runs.get
    failures = iter([LOCKED, LOCKED])

    def get_later(*arguments: str) -> runs.Row:
        for failure in failures:
            raise failure
        return get(*arguments)

    monkeypatch.setattr(runs, "get", get_later)
    monkeypatch.setattr(database_retry, "INTERVAL", 0.001)
    supervisor = Supervisor(settings, engine, run, Fence(fence))
    assert supervisor._record_end(1, settings.home / "log.txt") == "queued"
