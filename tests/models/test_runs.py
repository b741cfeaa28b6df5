"""Runs change state as MOVES allows, and a stale fence changes nothing."""

import threading

import pytest
import sqlalchemy as sa

from models import runs
from models.errors import ForbiddenMove, StaleFence, UnknownRun
from models.name_and_note import Description
from models.recipes.recipe import resolve
from models.runs import MOST_STALLS, MOVES, STATES, Fence
from tests.support.fixtures import Begin


def claim(engine: sa.Engine, run: str | None = None) -> tuple[str, Fence]:
    """Claim a run that waits; its id and fence."""
    result = runs.claim(engine, run)
    assert result is not None
    return result[0]["id"], result[1]


def attempt(engine: sa.Engine, run: str, fence: runs.Fence, move: str) -> bool:
    """Try a move from outside or as the owner; whether it was made."""
    try:
        match move:
            case "claim":
                return runs.claim(engine, run) is not None
            case "requeue":
                runs.requeue(engine, run, fence, "planted")
            case "succeed":
                with engine.begin() as db:
                    runs.succeed(db, run, fence, "1" * 64)
            case "fail":
                runs.finish(engine, run, fence, "fail", error="planted")
            case "cancel":
                runs.cancel(engine, run)
                if runs.get(engine, run)["state"] == "running":
                    # Cooperative: the heartbeat returns it to the owner, which requeues the run.
                    assert runs.beat(engine, run, fence)
                    runs.requeue(engine, run, fence, "stopped", is_stalled=False)
            case "resume":
                runs.resume(engine, run)
            case "change":
                if runs.get(engine, run)["state"] in MOVES["resume"][0]:
                    return False  # there the same call resumes
                runs.resume(engine, run, resolve({"preset": "smoke"}))
    except (ForbiddenMove, StaleFence):
        return False
    return True


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("move", MOVES)
def test_a_run_moves_only_along_the_arrows(
    engine: sa.Engine, begin: Begin, state: str, move: str
) -> None:
    run, fence = begin(state)
    sources, target = MOVES[move]
    assert attempt(engine, run, fence, move) == (state in sources)
    assert runs.get(engine, run)["state"] == (target if state in sources else state)


def test_each_run_is_claimed_once(engine: sa.Engine, begin: Begin) -> None:
    ids = {begin()[0] for _ in range(20)}
    claims: list[str] = []

    def claim_all() -> None:
        while (result := runs.claim(engine)) is not None:
            claims.append(result[0]["id"])

    threads = [threading.Thread(target=claim_all) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claims) == sorted(ids)


def test_the_oldest_run_goes_first(engine: sa.Engine, begin: Begin) -> None:
    first, second = begin()[0], begin()[0]
    assert [claim(engine)[0] for _ in range(2)] == [first, second]


def test_a_stale_fence_writes_nothing(engine: sa.Engine, begin: Begin) -> None:
    run, old = begin("running")
    runs.requeue(engine, run, old, "lease lost")
    _, new = claim(engine, run)
    assert new > old
    before = runs.events_after(engine, run, 0)
    for write in (
        lambda: runs.beat(engine, run, old),
        lambda: runs.snapshot(engine, run, old, "x.pt", {}),
        lambda: runs.record(engine, run, old, "run.progress", {"images": 1}, progress=True),
        lambda: runs.finish(engine, run, old, "fail", error="x"),
        lambda: runs.requeue(engine, run, old, "x"),
    ):
        with pytest.raises(StaleFence):
            write()
    row = runs.get(engine, run)
    assert (row["snapshot"], row["progress"], row["state"]) == (None, None, "running")
    assert runs.events_after(engine, run, 0) == before


def test_three_attempts_without_a_snapshot_fail_the_run(engine: sa.Engine, begin: Begin) -> None:
    run, fence = begin("running")
    for _ in range(MOST_STALLS - 1):
        assert runs.requeue(engine, run, fence, "it died") == "queued"
        _, fence = claim(engine, run)
    assert runs.requeue(engine, run, fence, "it died") == "failed"
    assert "it died" in runs.get(engine, run)["error"]


def test_a_snapshot_forgives_earlier_stalls(engine: sa.Engine, begin: Begin) -> None:
    run, fence = begin("running")
    for number in range(3 * MOST_STALLS):
        runs.snapshot(engine, run, fence, f"{number:012d}.pt", {})
        assert runs.requeue(engine, run, fence, "it died") == "queued"
        _, fence = claim(engine, run)


def test_events_are_numbered_without_gaps(engine: sa.Engine, begin: Begin) -> None:
    run, fence = begin("running")
    for images in range(5):
        runs.record(engine, run, fence, "run.progress", {"images": images}, progress=True)
    numbers = [event["number"] for event in runs.events_after(engine, run, 0)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [e["number"] for e in runs.events_after(engine, run, 4)] == numbers[4:]


def test_an_idempotency_key_makes_one_run(engine: sa.Engine) -> None:
    recipe = resolve({"preset": "smoke"})
    first, new = runs.create(engine, recipe, {"preset": "smoke"}, "key-1")
    again, newer = runs.create(engine, recipe, {"preset": "smoke"}, "key-1")
    assert (new, newer) == (True, False)
    assert first["id"] == again["id"]
    with pytest.raises(ForbiddenMove):
        runs.create(engine, recipe, {"preset": "smoke", "seed": 1}, "key-1")


def test_an_unknown_run_is_said_to_be_unknown(engine: sa.Engine) -> None:
    with pytest.raises(UnknownRun):
        runs.get(engine, "nope")
    with pytest.raises(StaleFence):
        runs.beat(engine, "nope", Fence(1))


def test_writing_the_last_snapshot_again_is_no_progress(engine: sa.Engine, begin: Begin) -> None:
    run, fence = begin("running")
    runs.snapshot(engine, run, fence, "000000000080.pt", {})
    for state in ("queued", "queued", "failed"):
        assert runs.requeue(engine, run, fence, "killed while publishing") == state
        if state == "queued":
            _, fence = claim(engine, run)
            runs.snapshot(engine, run, fence, "000000000080.pt", {})


def test_runs_are_found_by_parts_of_what_they_are(engine: sa.Engine) -> None:
    names = {}
    for preset, name, note in (("smoke", "Müller", "50% _off"), ("modern-64", "Other", None)):
        description = Description(name=name, note=note)
        row, _ = runs.create(engine, resolve({"preset": preset}), {}, description=description)
        names[name] = row["id"]
    for text, expected in (
        ("ÜLLER".lower(), ["Müller"]),
        ("othe", ["Other"]),
        ("SMOKE", ["Müller"]),
        ("starter", ["Other", "Müller"]),
        ("50% _", ["Müller"]),
        ("50%o", []),
        (names["Other"][:8], ["Other"]),
    ):
        assert [row["name"] for row in runs.list_runs(engine, text=text)] == expected, text
    assert runs.list_runs(engine, text="müller", state="running") == []


def test_the_newest_event_of_every_run(engine: sa.Engine) -> None:
    ids = []
    for count in (0, 1, 3):
        row, _ = runs.create(engine, resolve({"preset": "smoke"}), {})
        claim = runs.claim(engine, row["id"])
        assert claim is not None
        for number in range(count):
            runs.record(engine, row["id"], claim[1], "run.measured", {"fd": number})
        runs.record(engine, row["id"], claim[1], "run.warning", {})
        ids.append(row["id"])
    newest = runs.newest_events(engine, ids, "run.measured")
    assert newest == {ids[1]: {"fd": 0}, ids[2]: {"fd": 2}}
    assert [runs.last_event(engine, run) for run in ids] == [3, 4, 6]
    assert runs.newest_events(engine, [], "run.measured") == {}
