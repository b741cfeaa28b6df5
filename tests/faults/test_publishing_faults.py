"""Killed at any step of publishing: the old model or the new one, never a part of one."""

import shutil
import sys
from pathlib import Path

import psutil
import pytest

from models import bootstrap, bundle, failpoints, runs
from models.bundle import verify
from models.registry import LATEST
from models.runs import Fence
from tests.support.fixtures import BuildHouse, WriteBundle
from tests.support.process_group import House, trainers
from tests.support.tmpfs import tmpfs
from worker.training import snapshots

# The publishing half of an attempt, without the minutes of training before it.
PUBLISH = """
import sys
from pathlib import Path
from models import bootstrap, runs
from models.failpoints import fail_point
from models.registry import Registry
from models.settings import Settings
from models.storage import atomic
settings = Settings()
registry = Registry(bootstrap.prepare(settings), settings.storage)
source, run, fence = sys.argv[1:]
with atomic.scratch_folder(registry.bundles) as folder:
    fail_point("publish.begun")
    for path in sorted(Path(source).iterdir()):
        (folder / path.name).write_bytes(path.read_bytes())
    owner = {"run": run, "fence": runs.Fence(int(fence))}
    print(registry.publish(folder, **owner, final=True, promote=True))
"""


def publish(house: House, source: Path, run: str, fence: Fence, point: str | None = None) -> int:
    """Publish in a process of its own, killed at a point; its exit code."""
    variables = {"KAO_FAIL_POINT": f"{point}=SIGKILL"} if point else {}
    command = [sys.executable, "-c", PUBLISH, str(source), run, str(fence)]
    return house.start("publish", command, **variables).wait(60)


def claim(house: House) -> tuple[str, Fence]:
    """A new run, claimed."""
    run = house.submit()
    claim = runs.claim(house.engine, run)
    assert claim is not None
    return run, claim[1]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_kill_at_any_step_leaves_a_whole_model_and_a_second_try_publishes(
    house: House, write_bundle: WriteBundle
) -> None:
    before = house.registry.aliases()
    for seed, point in enumerate(failpoints.PUBLISH):
        source = write_bundle(seed)
        new = bundle.digest(source)
        run, fence = claim(house)
        assert publish(house, source, run, fence, point) == -9, f"{point} was never passed"
        after = house.registry.aliases()
        whole = {**before, "latest": new, "default": new}
        assert after == (whole if point == "publish.committed" else before), point
        for version in set(after.values()):
            verify.verify(house.registry.folder(version), version)
        if point != "publish.committed":
            assert runs.requeue(house.engine, run, fence, "killed") == "queued"
            again = runs.claim(house.engine, run)
            assert again is not None
            assert publish(house, source, run, again[1]) == 0, house.log_tails()
        assert house.run(run)["state"] == "succeeded"
        assert house.registry.aliases() == whole
        verify.verify(house.registry.folder(new), new)
        before = whole


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_run_that_dies_of_publishing_fails_after_three_attempts_and_resumes(house: House) -> None:
    house.queue()
    worker = house.worker(KAO_FAIL_POINT="publish.renamed=SIGKILL")
    run = house.submit(160)
    row = house.wait_for_end(run, "failed")
    assert "SIGKILL" in row["error"]
    assert row["attempt"] == runs.MOST_STALLS
    before = house.registry.aliases()
    worker.terminate()
    worker.wait(30)
    house.worker()
    runs.resume(house.engine, run)
    version = house.wait_for_end(run)["version"]
    assert house.registry.aliases() == {**before, "latest": version}
    verify.verify(house.registry.folder(version), version)


@pytest.mark.slow
@pytest.mark.timeout(1200)
# long: one disk, filled during a snapshot and then during a publish
def test_a_full_store_fails_the_run_in_words_and_spoils_nothing(
    build_house: BuildHouse, tmp_path: Path
) -> None:
    shipped_bytes = sum(
        path.stat().st_size for path in bootstrap.SHIPPED.rglob("*") if path.is_file()
    )
    with tmpfs(tmp_path / "store", megabytes=shipped_bytes // 2**20 + 12) as disk:
        house = build_house(storage_url=f"file://{disk.folder}")
        house.queue()
        worker = house.worker()

        snapshotting = house.submit(100_000)
        house.wait_for_snapshot(snapshotting)
        filler = disk.fill()
        row = house.wait_for_end(snapshotting, "failed")
        assert "disk is full" in row["error"]
        folder = disk.folder / "snapshots" / snapshotting
        assert snapshots.read(folder, row["snapshot"])["trainer"]["step"] > 0
        assert [path.name for path in folder.iterdir() if path.name.endswith(".tmp")] == []
        filler.unlink()
        shutil.rmtree(folder)
        worker.terminate()
        worker.wait(30)

        worker = house.worker(KAO_FAIL_POINT="publish.begun=SIGSTOP")
        publishing = house.submit(160)
        before = house.registry.aliases()

        def stopped_processes() -> list[psutil.Process]:
            return [one for one in trainers(publishing) if one.status() == "stopped"]

        (training,) = house.wait(stopped_processes, "it is about to publish")
        filler = disk.fill()
        training.resume()

        def has_failed() -> bool:
            """Each of its attempts stops where it is about to publish."""
            for one in stopped_processes():
                one.resume()
            return bool(house.run(publishing)["state"] == "failed")

        house.wait(has_failed, "the third attempt finds the disk full")
        row = house.run(publishing)
        assert "disk is full" in row["error"]
        assert house.registry.aliases() == before
        current = before[LATEST]
        verify.verify(house.registry.folder(current), current)
        filler.unlink()
        worker.terminate()
        worker.wait(30)
        house.worker()
        runs.resume(house.engine, publishing)
        version = house.wait_for_end(publishing)["version"]
        assert house.registry.aliases()[LATEST] == version
