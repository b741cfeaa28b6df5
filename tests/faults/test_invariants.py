"""Whatever is asked in whatever order, runs and models keep their invariants; on both databases."""

import itertools
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from models import bundle, runs
from models.bundle import verify
from models.database.engine import connect, migrate
from models.database.tables import metadata
from models.errors import ForbiddenMove, StaleFence, UnknownModel
from models.maintenance import garbage
from models.recipes.recipe import resolve
from models.registry import DEFAULT, LATEST, Registry
from models.runs import FINAL, MOST_STALLS, MOVES, Fence
from models.settings import Settings
from models.storage import atomic

SMOKE = {"preset": "smoke"}
ARROWS = {(source, target) for sources, target in MOVES.values() for source in sources}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def house(request: pytest.FixtureRequest, tmp_path: Path):
    """Settings on an empty database of each kind."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").database()
    return Settings(home=tmp_path / "home", database_url=url)


@pytest.fixture
def database(house):
    engine = connect(house)
    migrate(engine)
    yield engine
    engine.dispose()


class Machine(RuleBasedStateMachine):
    """The real functions beside a model of them that fits into a page."""

    ids = Bundle("ids")
    owners = Bundle("owners")  # (run, fence): every claim that ever was
    house: Settings
    database = None
    template = None

    @initialize()
    def empty(self) -> None:
        with self.database.begin() as db:
            for table in reversed(metadata.sorted_tables):
                db.execute(table.delete())
        shutil.rmtree(self.house.storage, ignore_errors=True)
        self.registry = Registry(self.database, self.house.storage)
        self.states, self.fences, self.stalls = {}, {}, {}
        self.keys, self.cancelling = {}, set()
        self.published, self.aliases, self.defaults = set(), {}, []
        self.names = itertools.count(1)

    def owns(self, owner):
        run, fence = owner
        return self.states[run] == "running" and self.fences[run] == fence

    def moved(self, run, state) -> None:
        assert (self.states[run], state) in ARROWS
        self.states[run] = state

    @rule(target=ids, key=st.sampled_from([None, None, "a", "b"]))
    def submit(self, key):
        row, new = runs.create(self.database, resolve(SMOKE), SMOKE, key)
        assert new == (key is None or key not in self.keys)
        if not new:
            assert row["id"] == self.keys[key]
            return multiple()
        if key is not None:
            self.keys[key] = row["id"]
        self.states[row["id"]], self.fences[row["id"]] = "queued", 0
        self.stalls[row["id"]] = 0
        return row["id"]

    @rule(target=owners)
    def claim(self):
        claimed = runs.claim(self.database)
        waiting = [run for run, state in self.states.items() if state == "queued"]
        if claimed is None:
            assert waiting == []
            return multiple()
        run, fence = claimed[0]["id"], claimed[1]
        assert run == waiting[0], "the oldest first"
        assert fence == self.fences[run] + 1
        self.moved(run, "running")
        self.fences[run] = fence
        return run, fence

    def attempt(self, owner, write):
        """Do a write as an owner, who must be the only one that can."""
        if self.owns(owner):
            return write()
        with pytest.raises(StaleFence):
            write()
        return None

    @rule(owner=owners)
    def heartbeat(self, owner) -> None:
        cancel = self.attempt(owner, lambda: runs.beat(self.database, *owner))
        assert cancel in (None, owner[0] in self.cancelling)

    @rule(owner=owners)
    def snapshot(self, owner) -> None:
        name = f"{next(self.names):012d}.pt"
        path = self.house.storage / "snapshots" / owner[0] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"state")
        self.attempt(owner, lambda: runs.snapshot(self.database, *owner, name, {}))
        if self.owns(owner):
            self.stalls[owner[0]] = 0

    @rule(owner=owners, stalled=st.booleans())
    def expire(self, owner, stalled) -> None:
        """The lease ran out, or (not stalled) its worker hands the run back."""
        run, _ = owner
        owned = self.owns(owner)
        state = self.attempt(owner, lambda: runs.requeue(self.database, *owner, "planted", stalled))
        if not owned:
            return
        self.stalls[run] += stalled
        wanted = "failed" if self.stalls[run] >= MOST_STALLS else "queued"
        wanted = "cancelled" if run in self.cancelling else wanted
        assert state == wanted
        self.moved(run, wanted)

    @rule(owner=owners)
    def fail(self, owner) -> None:
        owned = self.owns(owner)
        self.attempt(owner, lambda: runs.finish(self.database, *owner, "fail", error="planted"))
        if owned:
            self.moved(owner[0], "failed")

    @rule(run=ids)
    def cancel(self, run) -> None:
        if self.states[run] in FINAL:
            with pytest.raises(ForbiddenMove):
                runs.cancel(self.database, run)
            return
        runs.cancel(self.database, run)
        self.cancelling.add(run)
        if self.states[run] == "queued":
            self.moved(run, "cancelled")

    @rule(run=ids)
    def resume(self, run) -> None:
        if self.states[run] not in ("failed", "cancelled"):
            with pytest.raises(ForbiddenMove):
                runs.resume(self.database, run)
            return
        runs.resume(self.database, run)
        self.moved(run, "queued")
        self.stalls[run] = 0
        self.cancelling.discard(run)

    @rule(owner=owners, final=st.booleans(), promote=st.booleans())
    def publish(self, owner, final, promote) -> None:
        run, fence = owner
        with atomic.scratch_folder(self.registry.bundles) as folder:
            shutil.copytree(self.template, folder, dirs_exist_ok=True)
            (folder / bundle.SAMPLES).write_bytes(f"{next(self.names)}".encode())
            new = bundle.digest(folder)
            owned = self.owns(owner)
            asked = {"run": run, "fence": fence, "final": final, "promote": promote}
            self.attempt(owner, lambda: self.registry.publish(folder, **asked))
        if not owned:
            return
        self.published.add(new)
        self.aliases[LATEST] = new
        if promote or DEFAULT not in self.aliases:
            self.serve(new)
        if final:
            self.moved(run, "succeeded")

    def serve(self, version) -> None:
        self.aliases[DEFAULT] = version
        self.defaults.append(version)

    @rule(data=st.data())
    def promote(self, data) -> None:
        if not self.published:
            with pytest.raises(UnknownModel):
                self.registry.promote("latest")
            return
        version = data.draw(st.sampled_from(sorted(self.published)))
        self.registry.promote(version[:12])
        if self.aliases[DEFAULT] != version:
            self.serve(version)

    @rule()
    def roll_back(self) -> None:
        if len(self.defaults) < 2:
            with pytest.raises(UnknownModel):
                self.registry.roll_back()
            return
        self.defaults.pop()
        self.aliases[DEFAULT] = self.defaults[-1]
        assert self.registry.roll_back() == self.defaults[-1]

    @rule()
    def delete(self) -> None:
        """All garbage goes, however young: stale owners' bundles and snapshots among it."""
        garbage.collect(self.house, self.database, youngest=-1)
        there = {path.name for path in self.registry.bundles.glob("*")}
        assert there == self.published

    @invariant()
    def states_and_fences_are_what_was_asked(self) -> None:
        rows = {row["id"]: row for row in runs.list_runs(self.database)}
        assert {run: row["state"] for run, row in rows.items()} == self.states
        assert {run: row["fence"] for run, row in rows.items()} == self.fences
        for run, row in rows.items():
            if row["snapshot"] is not None:
                assert (self.house.storage / "snapshots" / run / row["snapshot"]).exists()

    @invariant()
    def events_have_no_gap(self) -> None:
        for run in self.states:
            numbers = [event["number"] for event in runs.events_after(self.database, run, 0)]
            assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def a_published_version_is_immutable_and_readable(self) -> None:
        assert self.registry.aliases() == self.aliases
        assert {row["version"] for row in self.registry.list_models()} == self.published
        for version in self.published:
            assert bundle.digest(self.registry.folder(version)) == version


def _read(folder, *_):
    """What verifying gives, without drawing."""
    return SimpleNamespace(card=bundle.Card.model_validate(bundle.read_card(folder)))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_order_of_calls_breaks_an_invariant(
    house, database, write_bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Drawing a test image each time would leave too few steps; it has tests of its own.
    monkeypatch.setattr(verify, "verify", _read)
    members = {"house": house, "database": database, "template": write_bundle(5)}
    machine = type("OfThisDatabase", (Machine,), members)
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=40,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def together(count, work):
    """Do the same in so many threads at once; what each gave or raised."""
    gate, found = threading.Barrier(count), []

    def one() -> None:
        gate.wait()
        try:
            found.append(work())
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_one_idempotency_key_asked_for_at_once_makes_one_run(database) -> None:
    found = together(8, lambda: runs.create(database, resolve(SMOKE), SMOKE, "the same"))
    assert len({row["id"] for row, _ in found}) == 1
    assert sum(new for _, new in found) == 1


def test_runs_asked_for_at_once_are_numbered_and_claimed_once(database) -> None:
    made = together(8, lambda: runs.create(database, resolve(SMOKE), SMOKE)[0]["number"])
    assert sorted(made) == list(range(1, 9))
    claimed = together(12, lambda: runs.claim(database))
    taken = [one[0]["id"] for one in claimed if one is not None]
    assert len(taken) == len(set(taken)) == 8


def test_one_owner_of_two_who_requeue_at_once(database) -> None:
    run = runs.create(database, resolve(SMOKE), SMOKE)[0]["id"]
    runs.claim(database)
    found = together(6, lambda: runs.requeue(database, run, Fence(1), "expired"))
    assert found.count("queued") == 1
    assert sum(isinstance(one, StaleFence) for one in found) == 5
    assert runs.get(database, run)["stalls"] == 1


def test_migrations_at_once_make_one_whole_database(house) -> None:
    engines = [connect(house) for _ in range(4)]
    ready = iter(engines)
    assert together(4, lambda: migrate(next(ready))) == [None] * 4
    assert runs.list_runs(engines[0]) == []
    for engine in engines:
        engine.dispose()
