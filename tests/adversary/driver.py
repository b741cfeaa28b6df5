"""The adversary: rounds of operations under faults, each followed by a rest and a judgement.

Between two rounds both apps are stopped. No request without an answer can then take effect any
more, so each round is judged alone.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import httpx
import sqlalchemy as sa
import structlog

from models import bootstrap, bundle, keys, runs
from models.database import tables
from models.database.engine import reading
from models.datasets import catalogue
from models.errors import KaoError
from models.registry import DEFAULT, Registry
from models.settings import Settings
from models.storage import atomic
from tests.adversary import history
from tests.adversary.checker import RECOVERY, STALENESS, check
from tests.adversary.clients import CLIENTS, Client
from tests.adversary.cluster import APPS, KEY, WORKERS, Cluster, Mode
from tests.adversary.faults import Injector
from tests.adversary.final_phase import FinalPhase
from tests.adversary.history import Probe, Record, Rest
from tests.adversary.references import References, write_bundles
from tests.adversary.report import Report
from tests.adversary.requests import World
from tests.adversary.schedule import client_order, plan
from tests.support.waiting import wait

log = structlog.get_logger()

MODELS = 3  # of random weights, beside those that come with Kao
ROUND = 45.0  # s of faults
# s, and at most, on a busy machine; a start of torch takes minutes where 14 processes share a core.
PATIENCE, MOST_PATIENCE = 180.0, 600.0
FREE_LOAD = 4.0  # processes that wait for each core at which PATIENCE is enough
STOP = 40.0  # s for an app to end after SIGTERM


@dataclass(frozen=True)
class Plan:
    """What to run.

    seconds: of a seed, in whole rounds. kinds: of faults; all of them without it.

    trains: whether each round ends with a run: of a cluster's first round it must succeed, of the
    others a worker must start it, as training takes minutes on a busy machine.
    """

    seed: int
    seconds: float
    mode: Mode = "postgresql"
    defect: str | None = None
    kinds: Sequence[str] = ()
    round_seconds: float = ROUND
    trains: bool = True


class Adversary:
    """One cluster and its rounds. rounds: how many it had, of all seeds."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.plan, self.folder, self.rounds = plan, folder, 0
        self.file = folder / "history.jsonl"
        self.cluster = Cluster(folder, plan.mode, plan.defect)
        self.settings = self.cluster.settings()
        os.environ.update(self.cluster.storage_environment())
        self.engine = bootstrap.prepare(self.settings)
        self.registry = Registry(self.engine, self.settings.blobs)
        self.references = References(self.registry)
        versions = []
        for path in write_bundles(folder / "bundles", MODELS):
            versions.append(self.references.add(path))
            self.registry.import_folder(path)
        versions.append(self.registry.resolve(DEFAULT))
        self.world = World(self.cluster.urls, self.references, versions)
        if plan.defect is None:  # the planted defects are in the apps
            for name in WORKERS:
                self.cluster.hosts[name].start()

    def round(self, seed: int, number: int) -> list[Record]:
        """Operations under faults, then a rest; what happened.

        The last faces are read when no fault excuses an old `default` any more.
        """
        self.rounds += 1
        self._start_apps()
        records: list[Record] = [self.look(first=True)]
        faults = plan(seed, number, self.plan.round_seconds, self.plan.mode, self.plan.kinds)
        clients = [
            Client(self.world, client, self.rounds, client_order(seed, number, client))
            for client in range(CLIENTS + 1)
        ]
        final_client = clients.pop()
        for client in clients:
            client.thread.start()
        injector = Injector(self.cluster, faults)
        time.sleep(self.plan.round_seconds)
        records += injector.finish()
        mended = time.monotonic()
        # Half-open connections stay so: whatever uses one must find out by itself.
        records += self.probe_apps()
        for client in clients:
            client.stop.set()
        for client in clients:
            client.thread.join()
            records += client.history
        final_phase = FinalPhase(final_client)
        records += final_phase.change()
        if self.plan.trains:
            records += self.probe_workers()
        faults_excuse_until = mended + RECOVERY + STALENESS
        records += final_phase.read_faces(
            max(final_phase.promoted + STALENESS, faults_excuse_until) + 1
        )
        records += self._stop_apps()
        self.cluster.network.reset_connections()
        records.append(self.look())
        return records

    def _start_apps(self) -> None:
        for name in APPS:
            self.cluster.hosts[name].start()
        for name in APPS:
            wait(partial(self.cluster.is_ready, name), patience(), f"{name} serves")

    def _stop_apps(self) -> Iterator[Probe]:
        for name in APPS:
            start = time.monotonic()
            reason = None if self.cluster.hosts[name].stop(STOP) else f"killed after {STOP:g} s"
            yield Probe(f"{name} stops", start, time.monotonic(), reason)

    # After the faults.

    def probe_apps(self) -> list[Probe]:
        """Whether and how soon the apps work again, while the clients go on."""
        self.cluster.restart_ended()
        return [
            *(
                self._await(f"{name} is ready", partial(self.cluster.is_ready, name))
                for name in APPS
            ),
            *(self._await(f"{name} promotes", partial(self._promotes, name)) for name in APPS),
        ]

    def probe_workers(self) -> list[Probe]:
        """Whether and how soon a new run is trained, or started."""
        self._cancel_runs()
        if self.rounds == 1:
            return [self._await("the workers train", self._reaches("succeeded"))]
        return [self._await("a worker starts a run", self._reaches("running", "succeeded"))]

    def _await(self, goal: str, condition: Callable[[], object]) -> Probe:
        start = time.monotonic()
        try:
            wait(condition, patience(), goal)
        except AssertionError as error:
            return Probe(goal, start, time.monotonic(), str(error).splitlines()[0])
        return Probe(goal, start, time.monotonic())

    def _send(self, name: str, method: str, path: str, **options: object) -> httpx.Response | None:
        try:
            return httpx.request(
                method,
                self.cluster.direct_urls[name] + path,
                headers={"Authorization": f"Bearer {KEY}"},
                timeout=20,
                trust_env=False,
                **options,  # type: ignore[arg-type]
            )
        except httpx.TransportError:
            return None

    def _promotes(self, name: str) -> bool:
        """Whether it answers a refusal: nothing may move that the history does not have."""
        answer = self._send(name, "POST", f"/models/{'0' * 64}/promote")
        return answer is not None and answer.status_code == 404

    def _reaches(self, *states: str) -> Callable[[], bool]:
        """A condition: a new run is in one of these states. The run is made by the first look."""
        ids: list[str] = []

        def look() -> bool:
            if not ids:
                body = {"preset": "smoke", "images": 48, "sliders": False}
                answer = self._send("app-a", "POST", "/train", json=body)
                if answer is None or answer.status_code != 202:
                    return False
                ids.append(answer.json()["id"])
            row = runs.get(self.engine, ids[0])
            assert row["state"] not in ("failed", "cancelled"), f"{row['state']}: {row['error']}"
            time.sleep(0.5)
            return bool(row["state"] in states)

        return look

    def _cancel_runs(self) -> None:
        """Cancel what waits or runs; on a busy machine each would take minutes before the next."""
        for state in ("queued", "running"):
            for row in runs.list_runs(self.engine, 1000, state):
                with contextlib.suppress(KaoError):
                    runs.cancel(self.engine, row["id"])

    # What there is.

    def look(self, first: bool = False) -> Rest:
        """The database's content, and the files that it names."""
        with reading(self.engine).begin() as db:
            rows = [row._asdict() for row in db.execute(sa.select(tables.runs))]
            promotions = db.scalars(
                sa.select(tables.moves.c.version)
                .where(tables.moves.c.alias == DEFAULT)
                .order_by(tables.moves.c.number)
            ).all()
            events: dict[str, list[tuple[int, str]]] = {row["id"]: [] for row in rows}
            columns = (tables.events.c.run, tables.events.c.number, tables.events.c.type)
            for run, number, type in db.execute(
                sa.select(*columns).order_by(tables.events.c.run, tables.events.c.number)
            ):
                events[run].append((number, type))
        names = ("id", "name", "state", "version", "number")
        return Rest(
            time.monotonic(),
            first=first,
            runs=[{name: row[name] for name in names} for row in rows],
            events=events,
            keys={key.id: key.revoked is not None for key in keys.list_keys(self.engine)},
            promotions=list(promotions),
            versions=[row["version"] for row in self.registry.list_models()],
            datasets={row["name"]: row["digest"] for row in catalogue.list_datasets(self.engine)},
            blobs=[] if first else list(self._damaged_files()),
        )

    def _damaged_files(self) -> Iterator[str]:
        """Models and datasets that the database names, and that a new host could not have."""
        shipped_versions = {path.name for path in bootstrap.shipped_bundles()}
        with atomic.scratch_folder(self.folder) as empty:
            settings = (
                self.settings
                if self.plan.mode == "sqlite"
                else Settings(home=empty, storage_url=self.settings.storage_url)
            )
            registry = Registry(self.engine, settings.blobs)
            for row in registry.list_models():
                if row["version"] in shipped_versions:
                    continue
                try:
                    bundle.check_digest(registry.fetch(row["version"]), row["version"])
                except (KaoError, OSError) as error:
                    yield f"{row['version']}: {error}"
            for row in catalogue.list_datasets(self.engine):
                yield from _damaged_dataset(settings, row["digest"])

    def close(self) -> None:
        self.cluster.close()
        self.engine.dispose()


def _damaged_dataset(settings: Settings, digest: str) -> Iterator[str]:
    try:
        if atomic.sha256(catalogue.fetch(settings, digest)) != digest:
            yield f"dataset {digest} is damaged"
    except (KaoError, OSError) as error:
        yield f"dataset {digest}: {error}"


def patience() -> float:
    """Seconds that a recovery may take: more where other work keeps the processors busy."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1) / FREE_LOAD
    return min(MOST_PATIENCE, PATIENCE * max(1.0, load))


def run(folder: Path, plan: Plan, stop_at_first: bool = False) -> Report:
    """The report of the plan's one seed."""
    [report] = attack(folder, plan, [plan.seed], stop_at_first)
    return report


def attack(
    folder: Path, plan: Plan, seeds: Iterable[int], stop_at_first: bool = False
) -> Iterator[Report]:
    """Attack one cluster with seed after seed; a report for each.

    The first one's time has the start of the cluster. A seed has rounds until the next one would
    not end in time, one at least, or until its first violation. The history lies in the folder.
    """
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        # obstore reads how to reach the bucket from this process's own environment.
        stack.enter_context(mock.patch.dict("os.environ"))
        adversary = Adversary(folder, plan)
        stack.callback(adversary.close)
        for seed in seeds:
            report = _attack_with(adversary, seed, began, stop_at_first)
            yield report
            if stop_at_first and report.violations:
                return
            began = time.monotonic()


def _attack_with(adversary: Adversary, seed: int, began: float, stop_at_first: bool) -> Report:
    report, longest = Report(), 0.0
    while report.rounds == 0 or time.monotonic() - began + longest < adversary.plan.seconds:
        round_began, place = time.monotonic(), f"seed {seed}, round {report.rounds}"
        records = adversary.round(seed, report.rounds)
        history.write(adversary.file, records)
        violations = check(records, STALENESS)
        report.violations += [(place, violation) for violation in violations]
        report.count(records)
        report.seconds = time.monotonic() - began
        longest = max(longest, time.monotonic() - round_began)
        log.info("adversary.round", seed=seed, number=report.rounds, violations=len(violations))
        if stop_at_first and violations:
            break
    return report
