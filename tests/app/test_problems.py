"""Every fact has its HTTP answer, in one shape."""

from pathlib import Path
from typing import Never

import pytest
from fastapi.testclient import TestClient

import app.errors  # noqa: F401  its errors join the tree
from app.problems import PROBLEMS, problem, row
from models.errors import KaoError
from tests.support.app_client import state_of


def _below(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(deeper for lower in kind.__subclasses__() for deeper in _below(lower))]


def test_every_error_has_a_row() -> None:
    rooms = ("app.", "models.")
    kinds = [kind for kind in _below(KaoError)[1:] if kind.__module__.startswith(rooms)]
    assert kinds
    assert [kind for kind in kinds if row(kind)[0] == 500] == []


def test_slugs_are_one_error_each() -> None:
    slugs = [slug for _, slug in PROBLEMS.values()]
    assert len(slugs) == len(set(slugs))


def test_an_error_without_a_row_is_ours() -> None:
    assert row(ZeroDivisionError)[0] == 500


def test_a_lone_surrogate_can_be_told() -> None:
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
    told = answer.json()
    assert told["status"] == status
    assert told["type"].startswith("urn:kao:problem:")
    assert told["detail"].endswith(".")


def test_a_wrong_method_names_the_right_ones(client: TestClient) -> None:
    assert "GET" in client.post("/avatar").headers["allow"]


def test_a_failure_of_ours_tells_no_secrets(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_) -> Never:
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
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    rows = [f"| `{slug}` | {status} |" for status, slug in PROBLEMS.values()]
    assert [line for line in rows if line not in text] == []
