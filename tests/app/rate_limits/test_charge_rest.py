"""Whatever answers is charged: also what no route charges."""

import pytest
from starlette.testclient import TestClient

from tests.app.rate_limits.conftest import StartLimited


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/nowhere", id="404"),
        pytest.param("/avatar?model=nobody", id="unknown-model"),
        pytest.param("/avatar?size=0", id="422"),
        pytest.param("/avatar/1.bmp", id="unknown-extension"),
        pytest.param("/assets/0/none.js", id="unknown-asset"),
    ],
)
def test_a_failure_costs_a_call(start_limited: StartLimited, path: str) -> None:
    client = start_limited(limit_calls="3/hour")
    assert [client.get(path).status_code < 429 for _ in range(3)] == [True] * 3
    refusal = client.get(path)
    assert refusal.status_code == 429
    assert int(refusal.headers["retry-after"]) > 60
    assert refusal.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/avatar?seed=1"])
def test_a_success_costs_at_least_a_face(start_limited: StartLimited, path: str) -> None:
    """Also a page, and a picture from memory."""
    client = start_limited(limit_pictures="3/hour")
    assert [client.get(path).status_code for _ in range(5)] == [200, 200, 200, 429, 429]


def test_a_304_costs_a_face(start_limited: StartLimited) -> None:
    client = start_limited(limit_pictures="3/hour")
    etag = client.get("/avatar?seed=1").headers["etag"]
    headers = {"If-None-Match": etag}
    statuses = [client.get("/avatar?seed=1", headers=headers).status_code for _ in range(3)]
    assert statuses == [304, 304, 429]


def test_no_request_is_charged_twice(start_limited: StartLimited, key: dict[str, str]) -> None:
    client = start_limited(limit_pictures="2/hour", limit_calls="2/hour")
    assert [client.get("/train", headers=key).status_code for _ in range(3)] == [200, 200, 429]
    assert [client.get(f"/avatar?seed={seed}").status_code for seed in range(3)] == [200, 200, 429]


def test_one_address_does_not_pay_for_another(start_limited: StartLimited) -> None:
    first = start_limited("198.51.100.7", limit_calls="1/hour")
    second = TestClient(first.app, client=("198.51.100.8", 5000))
    assert [first.get("/nowhere").status_code for _ in range(2)] == [404, 429]
    assert second.get("/nowhere").status_code == 404


def test_a_client_without_calls_is_refused_before_any_work(
    start_limited: StartLimited, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start_limited(limit_calls="1/hour")
    assert client.get("/avatar?model=nobody").status_code == 404
    monkeypatch.setattr("app.avatars.routes.PictureRequest", None)  # any work would fail
    assert client.get("/avatar?seed=1").status_code == 429


def test_probes_and_scrapes_are_never_refused(start_limited: StartLimited) -> None:
    client = start_limited(limit_calls="1/hour", limit_pictures="1/hour")
    for _ in range(2):
        client.get("/nowhere")
        client.get("/")
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert client.get(path).status_code == 200
