"""The compose files for real: a clean clone, built and run by a Docker engine.

    TORCH_INDEX= pytest -m compose        # where PyTorch's own index does not answer

Images that cannot be pulled are built from Debian's packages (stand-ins/).
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import pytest

ROOT, STAND_INS = Path(__file__).parents[2], Path(__file__).parent / "stand-ins"
FILES = ("-f", "docker-compose.yml", "-f", "docker-compose.cpu.yml")
PROJECT, PORT, PROXY = "kao-test", 18_000, 18_080
IMAGES = ("redis:7-bookworm", "caddy:2", "postgres:17-bookworm")
COMPOSE = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]


class Stack:
    """The services of one compose project, from a folder with a clean clone."""

    def __init__(self, folder) -> None:
        self.folder, self.settings = folder, ()
        self.environment = {
            **os.environ,
            # The classic builder, which every engine has.
            "DOCKER_BUILDKIT": "0",
            "COMPOSE_DOCKER_CLI_BUILD": "0",
            "KAO_PUBLISH": f"{PORT}:8000",
            "KAO_HTTP": str(PROXY),
            "KAO_HTTPS": "18443",
        }
        self.url = f"http://127.0.0.1:{PORT}"
        self.client = httpx.Client(timeout=60, trust_env=False)

    def compose(self, *words, seconds=600):
        """Run docker-compose; what it wrote to stdout."""
        done = subprocess.run(
            [*COMPOSE, "-p", PROJECT, *FILES, *self.settings, *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout.strip()

    def wait(self, condition, seconds, what):
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            try:
                if found := condition():
                    return found
            except httpx.TransportError:
                pass
            time.sleep(0.25)
        raise AssertionError(f"{what}: not in {seconds} s\n{self.compose('logs', '--tail', '30')}")

    def start(self, *words) -> None:
        """Up, until the app serves."""
        self.compose("up", "--detach", *words, seconds=1800)
        self.wait(lambda: self.get("/health/ready").status_code == 200, 180, "it serves")
        if not hasattr(self, "key"):
            key = self.compose("exec", "-T", "app", "cat", "/data/api-key")
            self.key = {"Authorization": f"Bearer {key}"}

    def get(self, path, url=None, **more):
        return self.client.get((url or self.url) + path, **more)

    def post(self, path, url=None, **more):
        return self.client.post((url or self.url) + path, headers=self.key, **more)

    def train(self, **recipe):
        answer = self.post("/train", json=recipe)
        assert answer.status_code == 202, answer.text
        return answer.headers["location"]

    def run(self, location):
        return self.get(location, headers=self.key).json()

    def ended(self, location, seconds=600):
        over = ("succeeded", "failed", "cancelled")
        return self.wait(
            lambda: (run := self.run(location))["state"] in over and run, seconds, "the run ends"
        )

    def scale(self, count, *more):
        """So many apps behind the proxy, which is where `get` goes then; their own addresses."""
        self.environment["KAO_PUBLISH"] = "8000"
        self.url = f"http://127.0.0.1:{PROXY}"
        self.start("--no-build", "--scale", f"app={count}", "app", "worker-cpu", "proxy", *more)
        apps = []
        for number in range(1, count + 1):
            told = self.compose("port", "--index", str(number), "app", "8000")
            apps.append(f"http://127.0.0.1:{told.rpartition(':')[2]}")
        for app in apps:
            ready = lambda app=app: self.get("/health/ready", app).status_code == 200  # noqa: E731
            self.wait(ready, 120, f"{app} serves")
        return apps

    def serves(self, url):
        """The version of the default model there."""
        return self.get("/avatar?seed=1", url).headers["x-avatar-model"]

    def kept(self):
        """What no restart may lose: faces, models, ended runs, keys."""
        runs = self.get("/train", headers=self.key).json()["runs"]
        return {
            "face": self.get("/avatar?seed=42").content,
            "models": self.get("/models").json(),
            "runs": {run["id"]: run["version"] for run in runs if run["state"] == "succeeded"},
            "keys": self.get("/keys", headers=self.key).json(),
        }


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory):
    """Built from a clean clone and up; gone afterwards, volumes and all."""
    if shutil.which("docker") is None or _run("docker", "info").returncode:
        pytest.skip("no Docker engine answers here: start one, and run `pytest -m compose` again")
    for image in IMAGES:
        _have(image)
    folder = tmp_path_factory.mktemp("clone") / "kao"
    assert _run("git", "clone", "--quiet", str(ROOT), str(folder)).returncode == 0
    running = Stack(folder)
    try:
        running.start("--build")
        yield running
    finally:
        running.compose("--profile", "many", "down", "--volumes", "--remove-orphans")
        running.client.close()


def _have(image) -> None:
    if _run("docker", "image", "inspect", image).returncode == 0:
        return
    if _run("docker", "pull", image).returncode == 0:
        return
    name = image.partition(":")[0]
    built = _run(
        *("docker", "build", "--tag", image),
        *("--file", str(STAND_INS / f"{name}.Dockerfile"), str(STAND_INS)),
    )
    assert built.returncode == 0, built.stderr[-2000:]


def _run(*words):
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    return subprocess.run(words, capture_output=True, text=True, env=environment)
