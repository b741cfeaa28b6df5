"""A key is in no log, error, event, metric, file or process."""

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.fixtures import StartUp
from tests.support.kao_up import Up

KEY = "kao_brought-by-the-operator-of-this-test"
WRONG = "kao_wrong-but-somebody-may-have-mistyped-it"

pytestmark = pytest.mark.slow


@pytest.fixture
def up(folder: Path, start_up: StartUp) -> Up:
    """`kao up` with a key from the environment, and the same in its file."""
    (folder / "home").mkdir()
    (folder / "home" / "api-key").write_text(KEY + "\n")
    return start_up(KAO_API_KEY=KEY)


def _processes(up: Up) -> list[str]:
    """Arguments and environments of every child, as `ps` and /proc show them."""
    texts = []
    for child in psutil.Process(up.process.pid).children(recursive=True):
        try:
            texts += [*child.cmdline(), *(f"{a}={b}" for a, b in child.environ().items())]
        except psutil.Error:  # it ended meanwhile
            continue
    return texts


def _misuse(up: Up, key: str) -> Iterator[httpx.Response]:
    """Keys where they do not belong; the answers."""
    client, bearer = up.client, {"Authorization": f"Bearer {key}"}
    yield client.get("/train", headers=bearer)
    yield client.get("/train", headers={"Authorization": f"Basic {key}"})
    yield client.get("/train", headers={"Authorization": key})
    yield client.get(f"/train?key={key}", headers=bearer)
    yield client.get("/metrics", headers=bearer)
    yield client.get(f"/avatar?expires=1&key=none&signature={key}", headers=bearer)
    yield client.post("/keys", json={"name": "x", "scopes": ["read"], "key": key}, headers=bearer)
    yield client.post("/train", content=f'{{"preset": "smoke", "{key}', headers=bearer)
    yield client.post("/models/none/promote", headers=bearer)
    yield client.request("DELETE", "/keys/none", headers=bearer)
    yield client.post("/datasets?name=x", content=key.encode(), headers=bearer)


def test_a_key_is_nowhere(up: Up, folder: Path) -> None:
    answer = up.client.post(
        "/keys", json={"name": "ci", "scopes": ["train"]}, headers=up.key
    ).json()
    secrets = [KEY, WRONG, answer["key"]]
    texts: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            texts.extend(_processes(up))

    watching = threading.Thread(target=watch)
    watching.start()
    run = up.train(preset="smoke", images=800, dataset_limit=64)
    answers = [answer for secret in secrets for answer in _misuse(up, secret)]
    texts += [str(event) for event in up.events(run)]
    over.set()
    watching.join()
    for path in (run, "/train", "/keys", "/models", "/metrics", "/openapi.json"):
        answers.append(up.client.get(path, headers=up.key))
    assert up.run(run)["state"] == "succeeded"
    assert {answer.status_code for answer in answers} >= {200, 401, 403, 404, 422}
    assert any("worker.training" in argument for argument in texts)
    up.stop()
    texts += [answer.text + str(answer.headers) for answer in answers]
    # A 422 may repeat the client's own query to that client.
    texts = [text for text in texts if "is not a parameter here" not in text]
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "api-key"]
    assert {"kao.db", "up.log"} <= {path.name for path in files}
    for secret in secrets:
        assert [text for text in texts if secret in text] == []
        assert [path for path in files if secret.encode() in path.read_bytes()] == []
