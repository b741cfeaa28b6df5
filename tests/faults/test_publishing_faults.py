"""Killed at whatever step of publishing: the old model or the new one, never a part of one."""

import shutil
import sys
from pathlib import Path

import pytest

from models import bundle, failpoints, runs
from models.bundle import verify
from models.registry import LATEST
from tests.support.process_group import trainers
from tests.support.tmpfs import tmpfs
from worker.training import snapshots

# The publishing half of an attempt, without the minutes of training before it.
PUBLISH = """
import sys
from pathlib import Path
from models import home, runs, storage
from models.failpoints import fail_point
from models.registry import Registry
from models.settings import Settings
settings = Settings()
registry = Registry(home.prepare(settings), settings.storage)
made, run, fence = sys.argv[1:]
with storage.scratch_folder(registry.bundles) as folder:
    fail_point("publish.begun")
    for path in sorted(Path(made).iterdir()):
        (folder / path.name).write_bytes(path.read_bytes())
    owned = {"run": run, "fence": runs.Fence(int(fence)), "final": True, "promote": True}
    print(registry.publish(folder, **owned))
"""


def published(house, made, run, fence, point=None):
    """Publish in a process of its own, killed at a point; its exit code."""
    armed = {"KAO_FAIL_POINT": f"{point}=SIGKILL"} if point else {}
    command = [sys.executable, "-c", PUBLISH, str(made), run, str(fence)]
    return house.start("publish", command, **armed).wait(60)


def claimed(house):
    run = house.ask()
    found = runs.claim(house.engine, run)
    assert found is not None
    return run, found[1]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_kill_at_any_step_leaves_a_whole_model_and_a_second_try_publishes(
    house, write_bundle
) -> None:
    before = house.registry.aliases()
    for seed, point in enumerate(failpoints.PUBLISH):
        made = write_bundle(seed)
        new = bundle.digest(made)
        run, fence = claimed(house)
        assert published(house, made, run, fence, point) == -9, f"{point} was never passed"
        after = house.registry.aliases()
        whole = {**before, "latest": new, "default": new}
        assert after == (whole if point == "publish.committed" else before), point
        for version in set(after.values()):
            verify.verify(house.registry.folder(version), version)
        if point != "publish.committed":
            assert runs.requeue(house.engine, run, fence, "killed") == "queued"
            again = runs.claim(house.engine, run)
            assert again is not None
            assert published(house, made, run, again[1]) == 0, house.words()
        assert house.run(run)["state"] == "succeeded"
        assert house.registry.aliases() == whole
        verify.verify(house.registry.folder(new), new)
        before = whole


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_run_that_dies_of_publishing_fails_after_three_attempts_and_resumes(house) -> None:
    house.queue()
    worker = house.worker(KAO_FAIL_POINT="publish.renamed=SIGKILL")
    run = house.ask(160)
    failed = house.ended(run, "failed")
    assert "SIGKILL" in failed["error"]
    assert failed["attempt"] == runs.MOST_STALLS
    before = house.registry.aliases()
    worker.terminate()
    worker.wait(30)
    house.worker()
    runs.resume(house.engine, run)
    version = house.ended(run)["version"]
    assert house.registry.aliases() == {**before, "latest": version}
    verify.verify(house.registry.folder(version), version)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_full_store_fails_the_run_in_words_and_spoils_nothing(
    build_house, tmp_path: Path
) -> None:
    with tmpfs(tmp_path / "store", megabytes=40) as disk:
        house = build_house(storage_url=f"file://{disk.folder}")
        house.queue()
        worker = house.worker()

        snapshotting = house.ask(100_000)
        house.goes_on(snapshotting)
        filler = disk.fill()
        failed = house.ended(snapshotting, "failed")
        assert "disk is full" in failed["error"]
        folder = disk.folder / "snapshots" / snapshotting
        assert snapshots.read(folder, failed["snapshot"])["trainer"]["step"] > 0
        assert [path.name for path in folder.iterdir() if path.name.endswith(".tmp")] == []
        filler.unlink()
        shutil.rmtree(folder)
        worker.terminate()
        worker.wait(30)

        worker = house.worker(KAO_FAIL_POINT="publish.begun=SIGSTOP")
        publishing = house.ask(160)
        before = house.registry.aliases()

        def stopped():
            return [one for one in trainers(publishing) if one.status() == "stopped"]

        (training,) = house.wait(stopped, "it is about to publish")
        filler = disk.fill()
        training.resume()
        failed = house.ended(publishing, "failed")
        assert "disk is full" in failed["error"]
        assert house.registry.aliases() == before
        current = before[LATEST]
        verify.verify(house.registry.folder(current), current)
        filler.unlink()
        worker.terminate()
        worker.wait(30)
        house.worker()
        runs.resume(house.engine, publishing)
        version = house.ended(publishing)["version"]
        assert house.registry.aliases()[LATEST] == version
