"""The compose files for real: a clean clone, built and run by a Docker engine.

    TORCH_INDEX= pytest -m compose        # where PyTorch's own index does not answer

Images that cannot be pulled are built from Debian's packages (stand-ins/).
"""

import functools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

T = TypeVar("T")
ROOT, STAND_INS = Path(__file__).parents[2], Path(__file__).parent / "stand-ins"
FILES = ("-f", "docker-compose.yml", "-f", "docker-compose.cpu.yml")
PROJECT, PORT, PROXY = "kao-test", 18_000, 18_080
IMAGES = ("redis:7-bookworm", "caddy:2", "postgres:17-bookworm")
COMPOSE = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]


class Stack:
    """The services of one compose project, from a folder with a clean clone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: tuple[str, ...] = ()
        self.environment = {
            **os.environ,
            # The classic builder, which every engine has.
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_DOCKER_CLI_BUILD": "0",
            "KAO_PUBLISH": f"127.0.0.1:{PORT}:8000",
            "KAO_HTTP": str(PROXY),
            "KAO_HTTPS": "18443",
        }
        self.url = f"http://127.0.0.1:{PORT}"
        self.client = httpx.Client(timeout=60, trust_env=False)

    def compose(self, *words: str, seconds: float = 600) -> str:
        """Run docker-compose; what it wrote to stdout."""
        process = subprocess.run(
            [*COMPOSE, "-p", PROJECT, *FILES, *self.settings, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert process.returncode == 0, (
            f"{words}: {process.stdout[-2000:]}\n{process.stderr[-4000:]}"
        )
        return process.stdout.strip()

    def wait(self, condition: Callable[[], T], seconds: float, goal: str) -> T:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if value := condition():
                    return value
            except httpx.TransportError:
                pass
            time.sleep(0.25)
        raise AssertionError(f"{goal}: not in {seconds} s\n{self.compose('logs', '--tail', '30')}")

    def start(self, *words: str) -> None:
        """Up, until the app serves."""
        self.compose("up", "--detach", *words, seconds=1800)
        self.wait(lambda: self.get("/health/ready").status_code == 200, 180, "it serves")
        if not hasattr(self, "key"):
            key = self.compose("exec", "-T", "app", "cat", "/data/api-key")
            self.key = {"Authorization": f"Bearer {key}"}

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.compose("ps", "-q", service)

    def health(self, service: str) -> str:
        """What the engine says of its health check: starting, healthy or unhealthy."""
        return str(self.inspect(service)["State"]["Health"]["Status"])

    def inspect(self, service: str) -> Any:
        """The engine's description of a service's container."""
        process = run_command("docker", "inspect", self.container(service))
        return json.loads(process.stdout)[0]

    def check(self, service: str) -> int:
        """Run a service's health check now; its exit code, 124 where it takes too long."""
        health = self.inspect(service)["Config"]["Healthcheck"]
        kind, *words = health["Test"]
        command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
        seconds = str(health["Timeout"] // 10**9)
        words = ["timeout", seconds, *command]
        return run_command("docker", "exec", self.container(service), *words).returncode

    def signal(self, service: str, name: str, number: str) -> None:
        """Send a signal to each process of that name in a service's container."""
        script = (
            f"for p in /proc/[0-9]*; do if grep -qx {name} $p/comm; "
            f"then kill -{number} ${{p#/proc/}}; fi; done"
        )
        words = ("docker", "exec", self.container(service), "sh", "-c", script)
        assert run_command(*words).returncode == 0

    def wait_for_health(self, *services: str, seconds: float = 240) -> None:
        """Until the engine calls each of them healthy."""
        for service in services:
            is_healthy = functools.partial(self.is_healthy, service)
            self.wait(is_healthy, seconds, f"{service} is healthy")

    def is_healthy(self, service: str) -> bool:
        """Whether the engine calls it healthy."""
        return self.health(service) == "healthy"

    def serves(self, url: str) -> bool:
        """Whether the app at this address is ready."""
        return self.get("/health/ready", url).status_code == 200

    def get(self, path: str, url: str | None = None, **options: Any) -> httpx.Response:
        return self.client.get((url or self.url) + path, **options)

    def post(self, path: str, url: str | None = None, **options: Any) -> httpx.Response:
        return self.client.post((url or self.url) + path, headers=self.key, **options)

    def train(self, **recipe: Any) -> str:
        answer = self.post("/train", json=recipe)
        assert answer.status_code == 202, answer.text
        return answer.headers["location"]

    def run(self, location: str) -> dict[str, Any]:
        row: dict[str, Any] = self.get(location, headers=self.key).json()
        return row

    def wait_for_end(self, location: str, seconds: float = 600) -> dict[str, Any]:
        """Wait until a run has ended; the run."""
        final = ("succeeded", "failed", "cancelled")
        self.wait(lambda: self.run(location)["state"] in final, seconds, "the run ends")
        return self.run(location)

    def scale(self, count: int, *services: str) -> list[str]:
        """So many apps behind the proxy, which is where `get` goes then; their own addresses."""
        self.environment["KAO_PUBLISH"] = "127.0.0.1::8000"
        self.url = f"http://127.0.0.1:{PROXY}"
        self.start("--no-build", "--scale", f"app={count}", "app", "worker-cpu", "proxy", *services)
        apps = []
        for number in range(1, count + 1):
            address = self.compose("port", "--index", str(number), "app", "8000")
            apps.append(f"http://127.0.0.1:{address.rpartition(':')[2]}")
        for app in apps:
            self.wait(functools.partial(self.serves, app), 120, f"{app} serves")
        return apps

    def default_version(self, url: str) -> str:
        """The version of the default model there."""
        return self.get("/avatar?seed=1", url).headers["x-avatar-model"]

    def state(self) -> dict[str, Any]:
        """What no restart may lose: faces, models, ended runs, keys."""
        runs = self.get("/train", headers=self.key).json()["runs"]
        return {
            "face": self.get("/avatar?seed=42").content,
            "models": self.get("/models").json(),
            "runs": {run["id"]: run["version"] for run in runs if run["state"] == "succeeded"},
            "keys": self.get("/keys", headers=self.key).json(),
        }


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Built from a clean clone and up; gone afterwards, volumes and all."""
    if shutil.which("docker") is None or run_command("docker", "info").returncode:
        pytest.skip("no Docker engine answers here: start one, and run `pytest -m compose` again")
    for image in IMAGES:
        _have(image)
    folder = tmp_path_factory.mktemp("clone") / "kao"
    assert run_command("git", "clone", "--quiet", str(ROOT), str(folder)).returncode == 0
    running = Stack(folder)
    try:
        running.start("--build")
        yield running
    finally:
        running.compose("--profile", "many", "down", "--volumes", "--remove-orphans")
        running.client.close()


def _have(image: str) -> None:
    if run_command("docker", "image", "inspect", image).returncode == 0:
        return
    if run_command("docker", "pull", image).returncode == 0:
        return
    name = image.partition(":")[0]
    process = run_command(
        *("docker", "build", "--tag", image),
        *("--file", str(STAND_INS / f"{name}.Dockerfile"), str(STAND_INS)),
    )
    assert process.returncode == 0, process.stderr[-2000:]


def run_command(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    return subprocess.run(words, capture_output=True, text=True, env=environment)
