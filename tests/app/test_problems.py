"""Every error has an HTTP answer, in one shape."""

import asyncio
import errno
import json
import re
from pathlib import Path
from typing import Any, Never

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from starlette.requests import Request

import app.errors  # noqa: F401  its errors belong to the tree
from app.problems import PROBLEMS, answer, problem, row
from models import errors
from models.database.engine import connect
from models.errors import KaoError
from models.settings import Settings
from tests.support.app_client import state_of


def _subclasses(kind: type[Exception]) -> list[type[Exception]]:
    """A class and everything derived from it."""
    return [kind, *(low for child in kind.__subclasses__() for low in _subclasses(child))]


def test_every_error_has_a_row() -> None:
    rooms = ("app.", "models.")
    kinds = [kind for kind in _subclasses(KaoError)[1:] if kind.__module__.startswith(rooms)]
    assert kinds
    assert [kind for kind in kinds if row(kind)[0] == 500] == []


def test_every_slug_belongs_to_one_error() -> None:
    slugs = [slug for _, slug in PROBLEMS.values()]
    assert len(slugs) == len(set(slugs))


def test_an_error_without_a_row_is_500() -> None:
    assert row(ZeroDivisionError)[0] == 500


def test_a_lone_surrogate_can_be_sent() -> None:
    assert b"ud800" in problem(422, "x", "\ud800").body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/nowhere", 404, id="unknown-address"),
        pytest.param("POST", "/avatar", 405, id="wrong-method"),
        pytest.param("GET", "/train/none", 401, id="no-key"),
        pytest.param("GET", "/models/none", 404, id="unknown-model"),
        pytest.param("GET", "/models?page=2", 422, id="unknown-parameter"),
    ],
)
def test_every_failure_is_an_uncached_problem(
    client: TestClient, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    assert document["status"] == status
    assert document["type"].startswith("urn:kao:problem:")
    assert document["detail"].endswith(".")


def test_a_wrong_method_names_the_right_ones(client: TestClient) -> None:
    assert "GET" in client.post("/avatar").headers["allow"]
    # Those of all routes of the address.
    assert client.put("/keys").headers["allow"] == "GET, POST, HEAD"
    assert client.delete("/models/x").headers["allow"] == "GET, PATCH, HEAD"
    assert client.get("/session").headers["allow"] == "POST, DELETE"


def test_an_internal_error_reveals_nothing(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Never:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(state_of(client).registry, "list_models", fail)
    answer = client.get("/models")
    assert answer.status_code == 500
    assert "swordfish" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_openapi_document_has_examples_and_the_problem(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert "Problem" in document["components"]["schemas"]
    body = document["paths"]["/train"]["post"]["requestBody"]["content"]["application/json"]
    assert body["examples"]["starter"]["value"]["preset"] == "modern-64"
    names = {row["name"] for row in document["paths"]["/avatar"]["get"]["parameters"]}
    assert names >= {"seed", "size", "format", "model", "psi"}


def test_the_documentation_has_every_problem_and_its_status() -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    rows = [f"| `{slug}` | {status} |" for status, slug in PROBLEMS.values()]
    assert [line for line in rows if line not in text] == []


def test_the_documentation_has_no_other_problem() -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    table = text.partition("## Errors")[2].partition("\n## ")[0]
    documented_names = set(re.findall(r"^\| `([a-z-]+)` \| \d+ \|$", table, re.MULTILINE))
    of_http = {"bad-request", "not-found", "method-not-allowed", "internal-error"}
    other_names = {"invalid-request", "database-unavailable", "shutting-down"}
    assert documented_names == {slug for _, slug in PROBLEMS.values()} | of_http | other_names


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        pytest.param(errors.UnknownRun("x"), "GET /train", id="run"),
        pytest.param(errors.UnknownDataset("x"), "POST /datasets", id="dataset"),
        pytest.param(errors.UnknownKey("x"), "GET /keys", id="key"),
    ],
)
def test_an_error_says_which_request_helps(error: KaoError, sentence: str) -> None:
    """The text of the error is independent of HTTP: the command line shows it too."""
    assert sentence not in str(error)
    assert sentence in str(asyncio.run(answer(Request({"type": "http"}), error)).body)


def test_a_renamed_problem_has_its_former_type_for_one_release() -> None:
    body = json.loads(bytes(problem(422, "no-critic", "x.").body))
    assert body["type"] == "urn:kao:problem:no-critic"
    assert body["former_type"] == "urn:kao:problem:unscored"


def test_a_full_queue_says_when_to_retry() -> None:
    response = asyncio.run(answer(Request({"type": "http"}), errors.QueueRefuses("no memory")))
    assert response.headers["retry-after"] == "30"


def test_a_locked_database_is_503_with_retry_after(
    client: TestClient, key: dict[str, str], settings: Settings
) -> None:
    engine = state_of(client).database
    engine.dispose()

    @sa.event.listens_for(engine, "connect")
    def _impatient(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA busy_timeout=50")

    other = connect(settings)
    with other.begin():
        refusal = client.post("/keys", json={"name": "a", "scopes": ["read"]}, headers=key)
        assert client.get("/keys", headers=key).status_code == 200
    other.dispose()
    assert (refusal.status_code, refusal.headers["retry-after"]) == (503, "5")
    assert refusal.json()["type"] == "urn:kao:problem:database-unavailable"


def test_a_full_disk_under_the_database_is_507(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Never:
        raise sa.exc.OperationalError("INSERT", {}, Exception("database or disk is full"))

    monkeypatch.setattr(state_of(client).registry, "list_models", fail)
    answer = client.get("/models")
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:kao:problem:disk-full")


def test_a_full_disk_is_507_a_broken_one_503_and_another_failure_of_the_system_is_500(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, status in (
        (errno.ENOSPC, 507),
        (errno.EDQUOT, 507),
        (errno.EIO, 503),
        (errno.EACCES, 500),
    ):
        failure = OSError(number, "planted")

        def fail(*_: Any, failure: OSError = failure) -> Never:
            raise failure

        monkeypatch.setattr(state_of(client).registry, "list_models", fail)
        assert client.get("/models").status_code == status
