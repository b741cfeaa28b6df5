"""In any order of calls, runs and models keep their invariants; on both databases."""

import itertools
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings as hypothesis_settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
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
from tests.support.fixtures import WriteBundle

Owner = tuple[str, Fence]
T = TypeVar("T")
SMOKE = {"preset": "smoke"}
ARROWS = {(source, target) for sources, target in MOVES.values() for source in sources}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings on an empty database of each kind."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").database()
    return Settings(home=tmp_path / "home", database_url=url)


@pytest.fixture
def database(house: Settings) -> Iterator[sa.Engine]:
    engine = connect(house)
    migrate(engine)
    yield engine
    engine.dispose()


class Machine(RuleBasedStateMachine):
    """The real functions beside a model of them that fits into a page."""

    ids: "Bundle[str]" = Bundle("ids")
    owners: "Bundle[Owner]" = Bundle("owners")  # (run, fence): every claim that ever was
    house: Settings
    database: sa.Engine
    template: Path

    @initialize()
    def empty(self) -> None:
        with self.database.begin() as db:
            for table in reversed(metadata.sorted_tables):
                db.execute(table.delete())
        shutil.rmtree(self.house.storage, ignore_errors=True)
        self.registry = Registry(self.database, self.house.storage)
        self.states: dict[str, str] = {}
        self.fences: dict[str, int] = {}
        self.stalls: dict[str, int] = {}
        self.keys: dict[str, str] = {}
        self.cancelling: set[str] = set()
        self.versions: set[str] = set()
        self.aliases: dict[str, str] = {}
        self.defaults: list[str] = []
        self.names = itertools.count(1)

    def owns(self, owner: Owner) -> bool:
        run, fence = owner
        return self.states[run] == "running" and self.fences[run] == fence

    def move(self, run: str, state: str) -> None:
        assert (self.states[run], state) in ARROWS
        self.states[run] = state

    @rule(target=ids, key=st.sampled_from([None, None, "a", "b"]))
    def submit(self, key: str | None) -> "MultipleResults[str] | str":
        row, new = runs.create(self.database, resolve(SMOKE), SMOKE, key)
        assert new == (key is None or key not in self.keys)
        if not new:
            assert key is not None
            assert row["id"] == self.keys[key]
            return multiple()
        if key is not None:
            self.keys[key] = row["id"]
        self.states[row["id"]], self.fences[row["id"]] = "queued", 0
        self.stalls[row["id"]] = 0
        return str(row["id"])

    @rule(target=owners)
    def claim(self) -> "MultipleResults[Owner] | Owner":
        claim = runs.claim(self.database)
        waiting = [run for run, state in self.states.items() if state == "queued"]
        if claim is None:
            assert waiting == []
            return multiple()
        run, fence = claim[0]["id"], claim[1]
        assert run == waiting[0], "the oldest first"
        assert fence == self.fences[run] + 1
        self.move(run, "running")
        self.fences[run] = fence
        return run, fence

    def attempt(self, owner: Owner, write: Callable[[], T]) -> T | None:
        """Do a write as an owner, who must be the only one that can."""
        if self.owns(owner):
            return write()
        with pytest.raises(StaleFence):
            write()
        return None

    @rule(owner=owners)
    def heartbeat(self, owner: Owner) -> None:
        cancel = self.attempt(owner, lambda: runs.beat(self.database, *owner))
        assert cancel in (None, owner[0] in self.cancelling)

    @rule(owner=owners)
    def snapshot(self, owner: Owner) -> None:
        name = f"{next(self.names):012d}.pt"
        path = self.house.storage / "snapshots" / owner[0] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"state")
        self.attempt(owner, lambda: runs.snapshot(self.database, *owner, name, {}))
        if self.owns(owner):
            self.stalls[owner[0]] = 0

    @rule(owner=owners, is_stalled=st.booleans())
    def expire(self, owner: Owner, is_stalled: bool) -> None:
        """The lease ran out, or (not stalled) its worker hands the run back."""
        run, _ = owner
        is_owner = self.owns(owner)
        state = self.attempt(
            owner, lambda: runs.requeue(self.database, *owner, "planted", is_stalled)
        )
        if not is_owner:
            return
        self.stalls[run] += is_stalled
        target = "failed" if self.stalls[run] >= MOST_STALLS else "queued"
        target = "cancelled" if run in self.cancelling else target
        assert state == target
        self.move(run, target)

    @rule(owner=owners)
    def fail(self, owner: Owner) -> None:
        is_owner = self.owns(owner)
        self.attempt(owner, lambda: runs.finish(self.database, *owner, "fail", error="planted"))
        if is_owner:
            self.move(owner[0], "failed")

    @rule(run=ids)
    def cancel(self, run: str) -> None:
        if self.states[run] in FINAL:
            with pytest.raises(ForbiddenMove):
                runs.cancel(self.database, run)
            return
        runs.cancel(self.database, run)
        self.cancelling.add(run)
        if self.states[run] == "queued":
            self.move(run, "cancelled")

    @rule(run=ids)
    def resume(self, run: str) -> None:
        if self.states[run] not in ("failed", "cancelled"):
            with pytest.raises(ForbiddenMove):
                runs.resume(self.database, run)
            return
        runs.resume(self.database, run)
        self.move(run, "queued")
        self.stalls[run] = 0
        self.cancelling.discard(run)

    @rule(owner=owners, final=st.booleans(), promote=st.booleans())
    def publish(self, owner: Owner, final: bool, promote: bool) -> None:
        run, fence = owner
        with atomic.scratch_folder(self.registry.bundles) as folder:
            shutil.copytree(self.template, folder, dirs_exist_ok=True)
            (folder / bundle.SAMPLES).write_bytes(f"{next(self.names)}".encode())
            new = bundle.digest(folder)
            is_owner = self.owns(owner)
            self.attempt(
                owner,
                lambda: self.registry.publish(
                    folder, run=run, fence=fence, final=final, promote=promote
                ),
            )
        if not is_owner:
            return
        self.versions.add(new)
        self.aliases[LATEST] = new
        if promote or DEFAULT not in self.aliases:
            self.serve(new)
        if final:
            self.move(run, "succeeded")

    def serve(self, version: str) -> None:
        self.aliases[DEFAULT] = version
        self.defaults.append(version)

    @rule(data=st.data())
    def promote(self, data: st.DataObject) -> None:
        if not self.versions:
            with pytest.raises(UnknownModel):
                self.registry.promote("latest")
            return
        version = data.draw(st.sampled_from(sorted(self.versions)))
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
        garbage.collect(self.house, self.database, minimum_age=-1)
        folders = {path.name for path in self.registry.bundles.glob("*")}
        assert folders == self.versions

    @invariant()
    def states_and_fences_are_those_of_the_model(self) -> None:
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
        assert {row["version"] for row in self.registry.list_models()} == self.versions
        for version in self.versions:
            assert bundle.digest(self.registry.folder(version)) == version


def _read(folder: Path, *_: object) -> SimpleNamespace:
    """What verifying gives, without drawing."""
    return SimpleNamespace(card=bundle.Card.model_validate(bundle.read_card(folder)))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_order_of_calls_breaks_an_invariant(
    house: Settings, database: sa.Engine, write_bundle: WriteBundle, monkeypatch: pytest.MonkeyPatch
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


def together(count: int, work: Callable[[], T]) -> list[T | Exception]:
    """Do the same in so many threads at once; what each gave or raised."""
    gate = threading.Barrier(count)
    results: list[T | Exception] = []

    def one() -> None:
        gate.wait()
        try:
            results.append(work())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def successes(results: list[T | Exception]) -> list[T]:
    """The results; raises the first error."""
    values = []
    for result in results:
        if isinstance(result, Exception):
            raise result
        values.append(result)
    return values


def test_one_idempotency_key_sent_at_once_makes_one_run(database: sa.Engine) -> None:
    results = successes(
        together(8, lambda: runs.create(database, resolve(SMOKE), SMOKE, "the same"))
    )
    assert len({row["id"] for row, _ in results}) == 1
    assert sum(new for _, new in results) == 1


def test_runs_created_at_once_are_numbered_and_claimed_once(database: sa.Engine) -> None:
    numbers = together(8, lambda: runs.create(database, resolve(SMOKE), SMOKE)[0]["number"])
    assert sorted(successes(numbers)) == list(range(1, 9))
    claims = successes(together(12, lambda: runs.claim(database)))
    ids = [claim[0]["id"] for claim in claims if claim is not None]
    assert len(ids) == len(set(ids)) == 8


def test_one_owner_of_two_who_requeue_at_once(database: sa.Engine) -> None:
    run = runs.create(database, resolve(SMOKE), SMOKE)[0]["id"]
    runs.claim(database)
    results = together(6, lambda: runs.requeue(database, run, Fence(1), "expired"))
    assert results.count("queued") == 1
    assert sum(isinstance(one, StaleFence) for one in results) == 5
    assert runs.get(database, run)["stalls"] == 1


def test_migrations_at_once_make_one_whole_database(house: Settings) -> None:
    engines = [connect(house) for _ in range(4)]
    ready = iter(engines)
    assert together(4, lambda: migrate(next(ready))) == [None] * 4
    assert runs.list_runs(engines[0]) == []
    for engine in engines:
        engine.dispose()
