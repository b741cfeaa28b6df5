"""Whatever answers is charged: also what no route charges."""

import re

import pytest
from starlette.testclient import TestClient

from app.studio import playground
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


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_a_page_costs_a_face(start_limited: StartLimited, path: str) -> None:
    client = start_limited(limit_pictures="3/hour")
    assert [client.get(path).status_code for _ in range(5)] == [200, 200, 200, 429, 429]


@pytest.mark.parametrize(
    ("limit", "path"),
    [
        pytest.param("limit_pictures", "/", id="pictures"),
        pytest.param("limit_calls", "/nowhere", id="calls"),
    ],
)
def test_the_page_of_a_refusal_gets_its_scripts_and_styles(
    start_limited: StartLimited, limit: str, path: str
) -> None:
    client = start_limited(**{limit: "1/hour"})
    reader = {"Accept": "text/html"}
    pages = [client.get(path, headers=reader) for _ in range(2)]
    assert pages[1].status_code == 429
    assets = re.findall(r'(?:href|src)="(/assets/[^"]+)"', pages[1].text)
    assert any(name.endswith(".css") for name in assets)
    assert {client.get(name).status_code for name in assets} == {200}
    assert client.get("/local/faces.js").status_code == 200
    # Nothing else is sent instead.
    assert client.get(path, headers=reader).status_code == 429


def test_assets_have_a_quota_of_their_own(start_limited: StartLimited) -> None:
    """As of pictures from memory: fifty for each picture of the limit."""
    client = start_limited(limit_pictures="1/hour")
    statuses = [client.get("/local/page.css").status_code for _ in range(51)]
    assert statuses == [*[200] * 50, 429]
    assert client.get("/avatar?seed=1").status_code == 200


def _revalidating(client: TestClient) -> dict[str, str]:
    return {"If-None-Match": client.get("/avatar?seed=1").headers["etag"]}


@pytest.mark.parametrize(
    "path", ["/avatar?seed=1", "/avatar?seed=1&psi=1"], ids=["fast-path", "route"]
)
@pytest.mark.parametrize("is_304", [True, False], ids=["304", "from-memory"])
def test_a_picture_that_is_not_drawn_costs_a_fiftieth_of_a_face(
    start_limited: StartLimited, path: str, is_304: bool
) -> None:
    """Whether the fast path or the route answers it."""
    client = start_limited(limit_pictures="2/hour")
    headers = _revalidating(client) if is_304 else {}
    client.get("/avatar?seed=1")
    statuses = [client.get(path, headers=headers).status_code for _ in range(60)]
    assert statuses[:40] == [304 if is_304 else 200] * 40
    assert statuses[-1] == 429


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


def test_a_page_is_refused_before_it_is_rendered_where_the_pictures_are_used_up(
    start_limited: StartLimited, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start_limited(limit_pictures="1/hour")
    assert client.get("/").status_code == 200
    monkeypatch.setattr(playground, "render", lambda *_, **__: pytest.fail("it was rendered"))
    assert client.get("/").status_code == 429


def test_probes_and_scrapes_are_never_refused(start_limited: StartLimited) -> None:
    client = start_limited(limit_calls="1/hour", limit_pictures="1/hour")
    for _ in range(2):
        client.get("/nowhere")
        client.get("/")
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "header", [{"Cookie": "a=b"}, {"Authorization": "Bearer invented"}], ids=str
)
def test_invented_credentials_get_no_pictures_after_the_calls_are_used_up(
    start_limited: StartLimited, header: dict[str, str]
) -> None:
    client = start_limited(limit_calls="2/hour")
    for _ in range(2):
        assert client.get("/nothing").status_code == 404
    assert client.get("/avatar?seed=a", headers=header).status_code == 429
    assert client.post("/avatars", json={"seeds": ["a"]}, headers=header).status_code == 429
