"""The size of a body is limited for every route, however it is sent."""

import pytest
from fastapi.testclient import TestClient

from app.http.body_size import MAX_BYTES
from tests.support.app_client import app_of

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.mark.parametrize("is_streamed", [False, True], ids=["length", "chunked"])
def test_a_large_body_is_refused_by_every_route_that_reads_one(
    client: TestClient, key: dict[str, str], is_streamed: bool
) -> None:
    content = b'{"name": "' + b"x" * MAX_BYTES + b'"}'
    count = 0
    for path, methods in app_of(client).openapi()["paths"].items():
        for method in methods.keys() & set(METHODS):
            if "application/json" in methods[method].get("requestBody", {}).get("content", {}):
                count += 1
                body = iter([content[:1000], content[1000:]]) if is_streamed else content
                headers = {**key, "Content-Type": "application/json"}
                answer = client.request(method, path, content=body, headers=headers)
                # A batch has a limit of its own, and no `name`.
                assert answer.status_code == (422 if path == "/avatars" else 413), path
                if path != "/avatars":
                    assert answer.json()["type"] == "urn:kao:problem:too-large"
                    assert f"{MAX_BYTES:,}" in answer.json()["detail"]
    assert count > 3


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"[" * 60_000, id="deep-list"),
        pytest.param(b'{"a":' * 10_000, id="deep-object"),
        pytest.param(b'{"seed": ' + b"9" * 5000 + b"}", id="long-number"),
        pytest.param(b"\xff\xfe", id="no-text"),
        pytest.param(b'{"preset": "\\ud800"}', id="lone-surrogate"),
        pytest.param(b'{"minutes": NaN}', id="not-a-number"),
        pytest.param(b"null", id="null"),
        pytest.param(b"", id="nothing"),
    ],
)
@pytest.mark.parametrize("path", ["/train", "/keys", "/sign", "/avatars"])
def test_malformed_json_is_refused_in_a_sentence(
    client: TestClient, key: dict[str, str], path: str, content: bytes
) -> None:
    headers = {**key, "Content-Type": "application/json"}
    answer = client.post(path, content=content, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"].endswith(".")


def test_a_route_that_reads_no_body_refuses_a_large_one_too(
    client: TestClient, key: dict[str, str]
) -> None:
    content = b"x" * (MAX_BYTES + 1)
    for method, path in (("POST", "/models/rollback"), ("DELETE", "/keys/x"), ("POST", "/nowhere")):
        assert client.request(method, path, content=content, headers=key).status_code == 413


def test_the_largest_body_is_read(client: TestClient, key: dict[str, str]) -> None:
    content = b'{"name": "' + b"x" * (MAX_BYTES - 12) + b'"}'
    assert len(content) == MAX_BYTES
    assert client.post("/keys", content=content, headers=key).status_code == 422
