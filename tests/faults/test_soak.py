"""Twenty minutes of training and clients, with a random fault every twenty seconds.

Each of eleven comes once in four minutes, a killed app, a full and a broken disk among them. No
answer may be a wrong face or missing but while the app is dead, and nothing may stay open. What is
there at the end is backed up, restored elsewhere, and compared.

`make soak`; SOAK_SECONDS and SOAK_SEED change its length and its faults. By hand, never in CI.
"""

import contextlib
import hashlib
import os
import random
import re
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import psutil
import pytest

from models import runs
from tests.adversary.disk_faults import DiskFault, FaultyDisk, compile_library
from tests.faults.restoring import assert_a_backup_restores_all
from tests.support.fixtures import BuildHouse
from tests.support.process_group import PATIENCE, House, Process

SECONDS = float(os.environ.get("SOAK_SECONDS", "1200"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
EVERY, FREEZE_SECONDS, LOCK_SECONDS, DISK_SECONDS = 20.0, 8.0, 10.0, 8.0  # s
CLIENTS, SEEDS = 8, 200
# Of one app process, above the most that it had in its first quarter: times, descriptors. A killed
# one's successor begins anew, and few live for as long as 32 MiB of faces take to gather (5,000 of
# them: 164 to 211 MB, then no more). So its caches are small, and only a leak adds.
MOST_MEMORY, MOST_FILES = 1.25, 20
SMALL = {"cache_bytes": 1 << 20, "model_bytes": 1 << 20}
# At the end, when all is quiet, above the start, of each kind: descriptors and connections. A
# worker's pool has been replaced by then, and Celery keeps a connection or two more.
MOST_LEFT = 8
PATTERNS = {
    "training": "worker.training",
    "worker": "kao worker",
    "queue": "valkey-server|redis-server",
    "app": "kao serve",
}


class Crowd:
    """Clients that keep the digest of each face by its model."""

    def __init__(self, house: House) -> None:
        self.house, self.stop = house, threading.Event()
        self.answers: Counter[int | str] = Counter()
        self.unanswered: list[tuple[float, str]] = []
        self.wrong: list[tuple[int, int, str]] = []
        self.faces: dict[tuple[str | None, int], bytes] = {}
        self.threads = [
            threading.Thread(target=self.ask, args=(number,), daemon=True)
            for number in range(CLIENTS)
        ]
        for thread in self.threads:
            thread.start()

    def ask(self, number: int) -> None:
        random_seeds = random.Random(number)
        with httpx.Client(base_url=self.house.http.base_url, timeout=60, trust_env=False) as client:
            while not self.stop.wait(0.2):
                self.look(client, random_seeds.randrange(SEEDS))

    def look(self, client: httpx.Client, seed: int) -> None:
        try:
            answer = client.get(f"/avatar?seed={seed}")
        except httpx.TransportError as error:
            self.answers[type(error).__name__] += 1
            self.unanswered.append((time.monotonic(), repr(error)))
            return
        self.answers[answer.status_code] += 1
        face = hashlib.sha256(answer.content).digest()
        earlier_face = self.faces.setdefault((answer.headers.get("x-avatar-model"), seed), face)
        if answer.status_code != 200 or earlier_face != face:
            self.wrong.append((answer.status_code, seed, answer.text[:200]))

    def leave(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(90)


def below(up: Process, name: str) -> list[psutil.Process]:
    """Processes of a kind below `kao up`; the parent comes before its pool."""
    matches = []
    for process in psutil.Process(up.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if re.search(PATTERNS[name], " ".join(process.cmdline())):
                matches.append(process)
    return matches


DISK_FAULTS: dict[str, DiskFault] = {"fill": "full", "break": "broken"}
# What a run says that failed because of one, or because each of three attempts met a fault before
# its first snapshot, as on a busy machine, where an attempt begins for as long as EVERY.
EXPECTED_ERRORS = re.compile(
    "disk is full|No space left|Input/output error|disk I/O error|attempts ended without a new",
    re.I,
)
FAULTS = [
    "lock database",
    "fill disk",
    "break disk",
    *(f"{how} {name}" for how in ("kill", "freeze") for name in PATTERNS),
]


def endless_faults(order: random.Random) -> Iterator[str]:
    """All of them in random order, then again in another."""
    while True:
        yield from order.sample(FAULTS, len(FAULTS))


def strike(
    house: House, up: Process, order: random.Random, fault: str, disk: FaultyDisk | None
) -> str:
    """One fault; its name, and whether there was no victim."""
    kind, name = fault.split()
    if kind in DISK_FAULTS:
        if disk is None:
            return f"{fault}: no C compiler"
        disk.set(DISK_FAULTS[kind])
        time.sleep(DISK_SECONDS)
        disk.set("none")
        return fault
    if kind == "lock":
        with contextlib.closing(sqlite3.connect(house.settings.home / "kao.db", timeout=30)) as db:
            db.isolation_level = None
            db.execute("BEGIN IMMEDIATE")
            time.sleep(LOCK_SECONDS)
            db.execute("ROLLBACK")
        return fault
    victims = below(up, name)
    if not victims:
        return f"{fault}: none"
    victim = order.choice(victims)
    with contextlib.suppress(psutil.Error):
        victim.send_signal(signal.SIGKILL if kind == "kill" else signal.SIGSTOP)
        if kind == "freeze":
            time.sleep(FREEZE_SECONDS)
            victim.send_signal(signal.SIGCONT)
    return fault


@dataclass(frozen=True)
class Size:
    """The app's memory in MB, its open files and its connections."""

    pid: int
    memory: float
    files: int
    connections: int


def size(house: House, up: Process) -> Size:
    """Of the app that serves now."""
    house.wait(house.serves, "the app serves again")
    (app,) = below(up, "app")
    return Size(app.pid, app.memory_info().rss / 1e6, app.num_fds(), len(app.net_connections()))


def assert_it_does_not_grow(sizes: list[Size]) -> None:
    """Of one process, in order."""
    first = sizes[: max(1, len(sizes) // 4)]
    assert sizes[-1].memory < MOST_MEMORY * max(one.memory for one in first)
    assert sizes[-1].files < MOST_FILES + max(one.files for one in first)


def open_resources(up: Process) -> dict[str, int]:
    """Descriptors and connections of each kind of process that lives on."""
    counts = {}
    for name in ("app", "worker", "queue"):
        processes = below(up, name)
        counts[f"{name} files"] = sum(one.num_fds() for one in processes)
        counts[f"{name} connections"] = sum(len(one.net_connections("all")) for one in processes)
    return counts


def at_rest(house: House, up: Process) -> dict[str, int]:
    """The same once it no longer changes, with every process there."""

    def steady() -> dict[str, int] | None:
        try:
            before = open_resources(up)
            time.sleep(5)
            complete = below(up, "worker") != [] and house.serves()
            return before if complete and open_resources(up) == before else None
        except psutil.Error:
            return None

    counts = house.wait(steady, "all is quiet")
    assert counts is not None
    return counts


def deaths(house: House) -> list[str]:
    """The log lines of `kao up` about children that died."""
    lines = (house.logs / "up.log").read_text(errors="replace").splitlines()
    return [line for line in lines if "child.died" in line]


def resume_failed(house: House, run_ids: list[str]) -> None:
    """Go on with runs that failed with one of EXPECTED_ERRORS; nothing else may fail one."""
    for run in run_ids:
        row = house.run(run)
        if row["state"] == "failed":
            assert EXPECTED_ERRORS.search(row["error"]), row["error"]
            runs.resume(house.engine, run)


def wait_for_success(house: House, run_ids: list[str]) -> list[runs.Row]:
    """Wait until every run has succeeded; their rows."""

    def all_succeeded() -> bool:
        resume_failed(house, run_ids)
        return all(house.run(run)["state"] == "succeeded" for run in run_ids)

    house.wait(all_succeeded, "every run succeeds", 4 * PATIENCE)
    return [house.run(run) for run in run_ids]


def keep_busy(house: House, run_ids: list[str]) -> None:
    """Two runs that wait or train, always."""
    resume_failed(house, run_ids)
    if sum(house.run(run)["state"] in ("queued", "running") for run in run_ids) < 2:
        run_ids.append(house.submit(2_000, promote="always"))


@pytest.mark.soak
@pytest.mark.timeout(SECONDS * 2 + 900)
# long: one story, whose steps need the ones before
def test_nothing_is_lost_for_a_while(
    build_house: BuildHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    house = build_house(**SMALL)
    order, faults = random.Random(SEED), Counter[str]()
    run_ids: list[str] = []
    sizes: list[Size] = []
    down: list[tuple[float, float]] = []  # from a kill of the app until it served again
    library = compile_library(house.folder)
    disk = FaultyDisk(library, house.folder / "disk", house.folder) if library else None
    environment = disk.environment if disk else {}
    up = house.start("up", [sys.executable, "-m", "kao", "up"], **environment)
    house.wait(house.serves, "the app serves")
    # A first run opens what a worker keeps open; then only leaks add to it.
    run_ids.append(house.submit(64))
    house.wait_for_end(run_ids[0])
    before = at_rest(house, up)
    crowd = Crowd(house)
    deadline, coming = time.monotonic() + SECONDS, endless_faults(order)
    while time.monotonic() < deadline:
        keep_busy(house, run_ids)
        sizes.append(size(house, up))
        due, began = time.monotonic() + EVERY, time.monotonic()
        fault = strike(house, up, order, next(coming), disk)
        faults[fault] += 1
        if fault == "kill app":
            house.wait(lambda: sizes[-1].pid not in {one.pid for one in below(up, "app")}, "dead")
            house.wait(house.serves, "the app is started again")
            down.append((began, time.monotonic()))
        while time.monotonic() < due:
            keep_busy(house, run_ids)
            time.sleep(1)
    rows = wait_for_success(house, run_ids)
    sizes.append(size(house, up))
    crowd.leave()
    after = at_rest(house, up)
    with capsys.disabled():
        print(f"\n{SECONDS:.0f} s, seed {SEED}: {sum(faults.values())} faults {dict(faults)}")
        print(f"{len(rows)} runs in {sum(row['attempt'] for row in rows)} attempts")
        print(f"answers {dict(crowd.answers)}, {len(crowd.faces)} faces")
        print("app without a server for", *(f"{till - since:.1f} s" for since, till in down))
        print(*(f"{one.pid}: {one.memory:.0f} MB {one.files} files" for one in sizes), sep="; ")
        print("open before", before, "after", after)
        print(*deaths(house), sep="\n")
    faces = assert_a_backup_restores_all(house, rows, crowd.faces)
    with capsys.disabled():
        print(f"restored elsewhere: {len(rows)} runs, {faces} faces compared")
    assert crowd.wrong == []
    lost_answers = Counter(
        (round(at - deadline + SECONDS), error)  # s since the crowd came
        for at, error in crowd.unanswered
        if not any(since <= at <= till for since, till in down)
    )
    assert lost_answers == {}, f"unanswered while no app was killed\n{house.log_tails()}"
    for pid in {one.pid for one in sizes}:
        assert_it_does_not_grow([one for one in sizes if one.pid == pid])
    left = {kind: count - before[kind] for kind, count in after.items()}
    assert {kind: count for kind, count in left.items() if count > MOST_LEFT} == {}
