"""A face has the same bytes in every process, for any number of threads and clients."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
from starlette.testclient import TestClient

from models.settings import Settings

SEEDS = ["42", "顔", "", *map(str, range(20))]
# Another app on the same home, which draws all seeds at once: (seed → SHA-256 of the response).
DRAW = """
import hashlib, json, sys
from concurrent.futures import ThreadPoolExecutor
from starlette.testclient import TestClient
from app.main import create_app
from models.settings import Settings
with TestClient(create_app(Settings())) as client, ThreadPoolExecutor(23) as pool:
    def face(seed):
        response = client.get("/avatar", params={"seed": seed})
        assert response.status_code == 200, response.text
        return seed, response.content
    faces = dict(pool.map(face, json.loads(sys.argv[1])))
print(json.dumps({seed: hashlib.sha256(body).hexdigest() for seed, body in faces.items()}))
"""

Digests = dict[str, str]


@pytest.fixture
def digests(client: TestClient) -> Digests:
    """SHA-256 of each seed's response, requested alone."""
    bodies = {seed: client.get("/avatar", params={"seed": seed}).content for seed in SEEDS}
    assert len(set(bodies.values())) == len(SEEDS)
    return {seed: hashlib.sha256(body).hexdigest() for seed, body in bodies.items()}


def _start(settings: Settings, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **settings.environment(), **variables}
    command = [sys.executable, "-c", DRAW, json.dumps(SEEDS)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def _finish(process: subprocess.Popen[str]) -> Digests:
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    digests: Digests = json.loads(output.splitlines()[-1])
    return digests


@pytest.mark.parametrize(("threads", "omp_threads"), [("1", "1"), ("1", "4"), ("3", "1")])
def test_another_process_draws_the_same_bytes(
    digests: Digests, settings: Settings, threads: str, omp_threads: str
) -> None:
    process = _start(settings, KAO_THREADS=threads, OMP_NUM_THREADS=omp_threads)
    assert _finish(process) == digests


@pytest.mark.slow
def test_eight_processes_at_once_draw_the_same_bytes(digests: Digests, settings: Settings) -> None:
    processes = [_start(settings, KAO_THREADS=str(1 + number % 3)) for number in range(8)]
    assert [_finish(process) for process in processes] == [digests] * 8
