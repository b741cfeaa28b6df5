"""`docker compose up --build` from a clean clone: it serves, trains, and loses nothing.

In order: later tests stand on what earlier ones trained.
"""

import functools
import json
import os
import subprocess
import time

import pytest

from tests.compose.conftest import PORT, Stack, run_command

# Soak, so that no `make test` builds images where an engine happens to be.
pytestmark = [pytest.mark.compose, pytest.mark.soak, pytest.mark.timeout(3600)]

ONE = "kao-test-one"  # the container and its volume
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
MOST_WEB_BYTES = 600e6  # of the web image, without its base


def test_a_seed_is_a_face(stack: Stack) -> None:
    one = stack.get("/avatar?seed=42")
    assert one.headers["content-type"] == "image/png"
    assert stack.get("/avatar?seed=42").content == one.content
    assert stack.get("/avatar?seed=43").content != one.content


def test_the_web_image_is_slim_and_has_no_torch(stack: Stack) -> None:
    def size(image: str) -> int:
        words = ("docker", "image", "inspect", "--format", "{{.Size}}", image)
        return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    assert size("kao-web") - size("python:3.11-slim-bookworm") < MOST_WEB_BYTES
    code = "import importlib.util as u; print(u.find_spec('torch'))"
    assert stack.compose("exec", "-T", "app", "python", "-c", code) == "None"


@pytest.mark.parametrize("service", ["app", "worker-cpu", "redis"])
def test_a_service_is_confined(stack: Stack, service: str) -> None:
    name = stack.compose("ps", "-q", service)
    words = ("docker", "inspect", name)
    (container,) = json.loads(
        subprocess.run(words, capture_output=True, text=True, check=True).stdout
    )
    host = container["HostConfig"]
    assert container["Config"]["User"] not in ("", "root", "0")
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert not host["Privileged"]


def test_the_queue_wants_a_password(stack: Stack) -> None:
    words = ("docker", "exec", stack.container("redis"), "redis-cli", "ping")
    assert "NOAUTH" in run_command(*words).stdout


@pytest.mark.parametrize("image", ["kao-web", "kao-worker-cpu"])
def test_an_image_says_what_is_in_it(stack: Stack, image: str) -> None:
    (description,) = json.loads(run_command("docker", "image", "inspect", image).stdout)
    assert description["Config"]["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    folder = "/usr/share/doc/kao"
    words = ("docker", "run", "--rm", image, "cat")
    assert "Apache License" in run_command(*words, f"{folder}/LICENSE").stdout
    bill = json.loads(run_command(*words, f"{folder}/sbom.cdx.json").stdout)
    names = {component["name"] for component in bill["components"]}
    assert {"fastapi", "onnxruntime"} <= names
    assert ("torch" in names) == (image != "kao-web")


@pytest.mark.parametrize(
    ("service", "process"), [("app", "kao"), ("worker-cpu", "kao"), ("redis", "redis-server")]
)
def test_a_health_check_tells_a_frozen_service_from_a_healthy_one(
    stack: Stack, service: str, process: str
) -> None:
    stack.wait_for_health("redis", "app", "worker-cpu")
    stack.signal(service, process, "STOP")
    try:
        assert stack.check(service) != 0
    finally:
        stack.signal(service, process, "CONT")
    stack.wait(lambda: stack.check(service) == 0, 60, f"{service} is healthy again")


def test_a_worker_without_its_queue_is_not_healthy(stack: Stack) -> None:
    stack.compose("stop", "redis")
    try:
        assert stack.check("worker-cpu") != 0
        assert stack.check("app") == 0, "faces need no queue"
    finally:
        stack.start()
    stack.wait(lambda: stack.check("worker-cpu") == 0, 60, "the worker is healthy again")


def test_the_doctor_finds_a_worker_without_a_gpu_in_order(stack: Stack) -> None:
    report = stack.compose("exec", "-T", "worker-cpu", "kao", "doctor")
    assert "training and drawing use the CPU" in " ".join(report.split())


def test_a_run_is_published_and_served(stack: Stack) -> None:
    before = stack.get("/avatar?seed=42")
    run = stack.wait_for_end(stack.train(preset="smoke", images=1600))
    assert run["state"] == "succeeded", run
    assert stack.post(f"/models/{run['version']}/promote").status_code == 200
    after = stack.get("/avatar?seed=42")
    assert after.headers["x-avatar-model"] == run["version"]
    assert after.content != before.content


def test_a_restart_loses_nothing(stack: Stack) -> None:
    before = stack.state()
    stack.compose("restart")
    stack.wait(lambda: stack.get("/health/ready").status_code == 200, 120, "it is back")
    assert stack.state() == before


def test_whatever_is_killed_the_run_succeeds_and_nothing_is_lost(stack: Stack) -> None:
    before = stack.state()
    location = stack.train(preset="smoke", images=48_000)

    def images() -> int:
        return int((stack.run(location)["progress"] or {}).get("images", 0))

    for service in ("redis", "app", "worker-cpu"):
        goal = images() + 300
        stack.wait(functools.partial(lambda goal: images() > goal, goal), 180, "the run goes on")
        stack.compose("kill", "-s", "KILL", service)
        stack.start()
        stack.wait_for_health("redis", "app", "worker-cpu")
    run = stack.wait_for_end(location, 1800)
    assert run["state"] == "succeeded", run
    after = stack.state()
    assert after["runs"].pop(run["id"]) == run["version"]
    assert (after["face"], after["runs"], after["keys"]) == (
        before["face"],
        before["runs"],
        before["keys"],
    )
    versions = {model["version"] for model in after["models"]["models"]}
    assert versions == {model["version"] for model in before["models"]["models"]} | {run["version"]}


def test_down_and_up_loses_nothing(stack: Stack) -> None:
    before = stack.state()
    stack.compose("down")
    stack.start()
    assert stack.state() == before


def test_three_apps_behind_a_proxy_serve_the_same_bytes_and_swap_within_five_seconds(
    stack: Stack,
) -> None:
    apps = stack.scale(3)
    paths = [f"/avatar?seed={seed}&size=200" for seed in range(12)]
    for path in paths:
        assert len({stack.get(path, url).content for url in (*apps, stack.url)}) == 1
    assert stack.get("/metrics").status_code == 404, "the proxy keeps them inside"
    now = stack.default_version(stack.url)
    versions = [model["version"] for model in stack.get("/models").json()["models"]]
    other = next(version for version in versions if version != now)
    start = time.monotonic()
    assert stack.post(f"/models/{other}/promote").status_code == 200
    for app in apps:
        follows = functools.partial(lambda app: stack.default_version(app) == other, app)
        stack.wait(follows, 5, "a promote reaches every app")
    assert time.monotonic() - start < 5


def has_succeeded(stack: Stack, url: str, headers: dict[str, str]) -> bool:
    return bool(stack.client.get(url, headers=headers).json()["state"] == "succeeded")


def is_gone(container: str) -> bool:
    return run_command("docker", "container", "inspect", container).returncode != 0


def test_one_container_serves_trains_and_loses_nothing(stack: Stack) -> None:
    """The image of README's `docker run`: what one container keeps, the next one has."""
    words = ("docker", "build", "--target", "kao", "--tag", "kao", str(stack.folder))
    argument = f"TORCH_INDEX={os.environ.get('TORCH_INDEX', CPU_INDEX)}"
    built = run_command(*words[:2], "--build-arg", argument, *words[2:])
    assert built.returncode == 0, built.stderr[-2000:]
    url = f"http://127.0.0.1:{PORT + 1}"
    start = (
        *("docker", "run", "--detach", "--rm", "--init", "--read-only", "--tmpfs", "/tmp"),
        *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--name", ONE),
        *("--publish", f"{PORT + 1}:8000", "--volume", f"{ONE}:/data", "kao"),
    )
    faces = []
    try:
        for _ in range(2):
            assert run_command(*start).returncode == 0
            stack.wait(functools.partial(stack.serves, url), 120, "one container serves")
            faces.append(stack.get("/avatar?seed=42", url).content)
            key = run_command("docker", "exec", ONE, "cat", "/data/api-key").stdout.strip()
            headers = {"Authorization": f"Bearer {key}"}
            recipe = {"preset": "smoke", "images": 320}
            answer = stack.client.post(f"{url}/train", headers=headers, json=recipe)
            assert answer.status_code == 202, answer.text
            run = url + answer.headers["location"]
            stack.wait(functools.partial(has_succeeded, stack, run, headers), 300, "it trains")
            assert run_command("docker", "stop", "--time", "60", ONE).returncode == 0
            stack.wait(functools.partial(is_gone, ONE), 30, "the container is gone")
    finally:
        run_command("docker", "rm", "--force", ONE)
        run_command("docker", "volume", "rm", "--force", ONE)
    assert faces[0] == faces[1]
