"""Two apps and two workers share PostgreSQL, S3 and a queue, but no disk, and lose nothing.

Each has a home of its own, as on a host of its own; one group of processes for all of the tests.
"""

import contextlib
import io
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest
from PIL import Image

from kao import embedded_valkey
from kao_client import Client, Run
from models.storage import layout
from tests.support.servers import KEYS, REGION, S3, Postgres, Server
from tests.support.waiting import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KEY = "kao_many-hosts-0123456789"
APPS, WORKERS = ("app-a", "app-b"), ("worker-a", "worker-b")

T = TypeVar("T")


class Hosts:
    """The processes, each with a home of its own."""

    def __init__(self, folder: Path, database: str, storage: str, endpoint: str) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        queue = free_port()
        binary = str(embedded_valkey.find_server())
        words = [binary, "--port", str(queue), "--bind", "127.0.0.1", "--save", ""]
        self.queue = Server([*words, "--dir", str(folder)], queue)
        self.environment = {
            **os.environ,
            **KEYS,
            **REGION,
            "AWS_ENDPOINT_URL": endpoint,
            "DATABASE_URL": database,
            "STORAGE_URL": storage,
            "REDIS_URL": f"redis://127.0.0.1:{queue}/0",
            "KAO_API_KEY": KEY,
            "KAO_LEASE_SECONDS": "3",
            "KAO_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        self.ports = {name: free_port() for name in APPS}
        for name in (*APPS, *WORKERS):
            self.start(name)
        self.urls = [f"http://127.0.0.1:{self.ports[name]}" for name in APPS]
        self.clients = [Client(url, KEY) for url in self.urls]
        self.http = httpx.Client(timeout=60, trust_env=False)
        for url in self.urls:
            self.wait(partial(self.ready, url), 120, f"{url} serves")

    def start(self, name: str) -> None:
        command = "serve" if name in APPS else "worker"
        environment = {**self.environment, "KAO_HOME": str(self.folder / name)}
        if name in APPS:
            environment["KAO_PORT"] = str(self.ports[name])
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "kao", command], env=environment, stdout=log, stderr=log
            )

    def ready(self, url: str) -> bool:
        try:
            return self.http.get(f"{url}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def wait(self, condition: Callable[[], T | None], seconds: float, goal: str) -> T:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if result := condition():
                return result
            time.sleep(0.1)
        logs = [path.read_text()[-3000:] for path in sorted(self.folder.glob("*.log"))]
        raise AssertionError("\n".join([f"{goal}: not in {seconds} s", *logs]))

    def face(self, number: int, query: str = "seed=42") -> httpx.Response:
        return self.http.get(f"{self.urls[number]}/avatar?{query}")

    def train(self, **recipe: Any) -> str:
        return self.clients[0].train(preset="smoke", **recipe).id

    def run(self, run: str, number: int = 1) -> Run:
        return self.clients[number].run(run)

    def wait_for_end(self, run: str) -> Run:
        final = ("succeeded", "failed", "cancelled")
        return self.wait(
            lambda: row if (row := self.run(run)).state in final else None, 240, f"run {run} ends"
        )

    def trainer(self, run: str) -> str | None:
        """The worker that trains it now."""
        for name in WORKERS:
            for child in psutil.Process(self.processes[name].pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if run in child.cmdline():
                        return name
        return None

    def kill(self, name: str) -> None:
        """As if the host had lost its power."""
        process = psutil.Process(self.processes[name].pid)
        for victim in [process, *process.children(recursive=True)]:
            victim.kill()
        self.processes[name].wait()

    def stop(self) -> None:
        for client in self.clients:
            client.close()
        self.http.close()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(60)
        self.queue.stop()


def _is_ready(hosts: Hosts, url: str) -> bool:
    return bool(hosts.http.get(f"{url}/health/ready").json()["status"] == "ready")


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory, s3: S3, postgres: Postgres) -> Iterator[Hosts]:
    folder, bucket = tmp_path_factory.mktemp("hosts"), f"s3://{s3.bucket()}"
    running = Hosts(folder, postgres.database(), bucket, s3.url)
    yield running
    running.stop()


def test_a_face_is_the_same_at_every_host(hosts: Hosts) -> None:
    for seed in range(8):
        one, two = (hosts.face(number, f"seed={seed}") for number in (0, 1))
        assert one.status_code == 200
        assert one.content == two.content


def test_what_one_host_trains_another_serves(hosts: Hosts) -> None:
    run = hosts.train(images=1600)
    final_row = hosts.wait_for_end(run)
    assert final_row.state == "succeeded", final_row
    version = final_row.version
    assert version is not None
    faces = [hosts.face(number, f"seed=42&model={version}") for number in (0, 1)]
    assert {face.status_code for face in faces} == {200}
    assert faces[0].content == faces[1].content
    hosts.clients[0].promote(version)
    hosts.wait(
        lambda: hosts.face(1).headers["x-avatar-model"] == version, 5, "a promote reaches both"
    )
    key = {"Authorization": f"Bearer {KEY}"}
    for url in hosts.urls:
        sheets = hosts.http.get(f"{url}/train/{run}/sheets", headers=key).json()
        assert sheets
        assert hosts.http.get(url + sheets[-1], headers=key).content[:4] == b"\x89PNG"


def test_a_set_uploaded_to_one_host_is_trained_on_at_another(hosts: Hosts, tmp_path: Path) -> None:
    archive = tmp_path / "mine.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for index in range(12):
            buffer = io.BytesIO()
            Image.new("RGB", (40, 30), (20 * index, 100, 200)).save(buffer, "PNG")
            file.writestr(f"{index}.png", buffer.getvalue())
    name = f"mine-{secrets.token_hex(4)}"
    hosts.clients[1].upload(name, archive)
    assert hosts.wait_for_end(hosts.train(dataset=name, images=640)).state == "succeeded"


def test_a_run_goes_on_at_another_host_when_its_own_is_gone(hosts: Hosts) -> None:
    run = hosts.train(images=16_000)
    victim = hosts.wait(lambda: hosts.trainer(run), 60, "a worker trains")
    hosts.wait(lambda: (hosts.run(run).progress or {}).get("images", 0) > 1500, 120, "it goes on")
    hosts.kill(victim)
    try:
        other = next(name for name in WORKERS if name != victim)
        progress = hosts.wait(
            lambda: hosts.run(run).progress if hosts.run(run).attempt == 2 else None, 60, "resumed"
        )
        assert progress["images"] > 0
        final_row = hosts.wait_for_end(run)
        assert final_row.state == "succeeded", final_row
        folder = layout.bundle(str(final_row.version))
        assert not (hosts.folder / victim / layout.STORE / folder).exists()
        assert (hosts.folder / other / layout.STORE / folder).is_dir()
        events = list(hosts.clients[1].follow(run))
        assert [event.number for event in events] == list(range(1, len(events) + 1))
        assert "run.resumed" in [event.type for event in events]
    finally:
        hosts.start(victim)


def test_faces_are_served_while_the_database_restarts_and_no_run_is_lost(
    hosts: Hosts, postgres: Postgres
) -> None:
    run = hosts.train(images=8_000)
    hosts.wait(lambda: (hosts.run(run).progress or {}).get("images", 0) > 400, 120, "it goes on")
    with postgres.stopped(signal.SIGINT):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            for number in (0, 1):
                assert hosts.face(number).status_code == 200
        health = hosts.http.get(f"{hosts.urls[0]}/health/ready").json()
        assert health["status"] == "degraded"
    for url in hosts.urls:  # until then its answers are 503
        hosts.wait(
            partial(_is_ready, hosts, url),
            30,
            "all is well again",
        )
    assert hosts.wait_for_end(run).state == "succeeded"


def test_a_revoked_key_opens_nothing_at_any_host(hosts: Hosts) -> None:
    master = {"Authorization": f"Bearer {KEY}"}
    key_row = hosts.clients[0].create_key("ci", "read")
    key = {"Authorization": f"Bearer {key_row.key}"}
    for url in hosts.urls:
        assert hosts.http.get(f"{url}/train", headers=key).status_code == 200
    hosts.http.delete(f"{hosts.urls[0]}/keys/{key_row.id}", headers=master).raise_for_status()
    for url in hosts.urls:
        assert hosts.http.get(f"{url}/train", headers=key).status_code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/avatar?seed=1&model=a%00b"),
        ("GET", "/avatar?seed=a%00b"),
        ("GET", "/models/a%00b"),
        ("GET", "/train/a%00b"),
        ("POST", "/train/a%00b/cancel"),
        ("DELETE", "/datasets/a%00b"),
        ("DELETE", "/keys/a%00b"),
    ],
)
def test_what_postgresql_cannot_store_is_no_failure_of_ours(
    hosts: Hosts, method: str, path: str
) -> None:
    key = {"Authorization": f"Bearer {KEY}"}
    assert hosts.http.request(method, hosts.urls[0] + path, headers=key).status_code < 500


def test_two_hosts_that_ask_at_once_get_numbers_of_their_own(hosts: Hosts) -> None:
    key = {"Authorization": f"Bearer {KEY}"}

    def ask(number: int) -> httpx.Response:
        url = hosts.urls[number % 2]
        return hosts.http.post(f"{url}/train", json={"preset": "smoke"}, headers=key)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(16)))
    assert {answer.status_code for answer in answers} == {202}
    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 16
    for run in ids:
        answer = hosts.http.post(f"{hosts.urls[0]}/train/{run}/cancel", headers=key)
        assert answer.status_code in (202, 409)


def test_every_home_is_a_cache(hosts: Hosts) -> None:
    """What a host keeps may be lost with it: a new one with an empty disk serves the same."""
    before = hosts.face(0, "seed=77").content
    hosts.kill("app-b")
    try:
        shutil.rmtree(hosts.folder / "app-b")
    finally:
        hosts.start("app-b")
    hosts.wait(lambda: hosts.ready(hosts.urls[1]), 120, "it serves")
    assert hosts.face(1, "seed=77").content == before
