"""A face has the same bytes in every process, however many cores draw and whoever asks."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
from fastapi.testclient import TestClient

from models.settings import Settings

SEEDS = ["42", "顔", "", *map(str, range(20))]
# An app of its own on the same home, asked for all seeds at once: (seed → SHA-256 of the answer).
ASK = """
import hashlib, json, sys
from concurrent.futures import ThreadPoolExecutor
from starlette.testclient import TestClient
from app.main import create_app
from models.settings import Settings
with TestClient(create_app(Settings())) as client, ThreadPoolExecutor(23) as pool:
    def face(seed):
        answer = client.get("/avatar", params={"seed": seed})
        assert answer.status_code == 200, answer.text
        return seed, answer.content
    faces = dict(pool.map(face, json.loads(sys.argv[1])))
print(json.dumps({seed: hashlib.sha256(body).hexdigest() for seed, body in faces.items()}))
"""


@pytest.fixture
def served(client: TestClient):
    """SHA-256 of each seed's answer, asked for alone."""
    bodies = {seed: client.get("/avatar", params={"seed": seed}).content for seed in SEEDS}
    assert len(set(bodies.values())) == len(SEEDS)
    return {seed: hashlib.sha256(body).hexdigest() for seed, body in bodies.items()}


def _begin(settings, **more):
    environment = {**os.environ, **settings.environment(), **more}
    words = [sys.executable, "-c", ASK, json.dumps(SEEDS)]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)


def _drawn(process):
    told, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    return json.loads(told.splitlines()[-1])


@pytest.mark.parametrize(("drawing", "spinning"), [("1", "1"), ("1", "4"), ("3", "1")])
def test_another_process_draws_the_same_bytes(
    served, settings: Settings, drawing, spinning
) -> None:
    assert _drawn(_begin(settings, KAO_THREADS=drawing, OMP_NUM_THREADS=spinning)) == served


@pytest.mark.slow
def test_eight_processes_at_once_draw_the_same_bytes(served, settings: Settings) -> None:
    processes = [_begin(settings, KAO_THREADS=str(1 + number % 3)) for number in range(8)]
    drawn = [_drawn(process) for process in processes]
    assert drawn == [served] * 8
