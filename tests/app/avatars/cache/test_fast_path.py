"""The fast path gives the response of the route, and only while that is the right one."""

import pytest
from starlette.testclient import TestClient

from app.avatars.cache import fast_path
from app.avatars.state import PictureState
from tests.support.app_client import state_of


@pytest.fixture
def state(client: TestClient) -> PictureState:
    """What the app holds."""
    return state_of(client)


@pytest.fixture
def routed_models(state: PictureState, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models of the requests that reached a route."""
    models = []
    resolve = state.engine.resolve

    async def count(name: str) -> str:
        models.append(name)
        return await resolve(name)

    monkeypatch.setattr(state.engine, "resolve", count)
    return models


@pytest.mark.parametrize(
    "path",
    [
        "/avatar?seed=1",
        "/avatar?seed=1&size=64&psi=0.5",
        "/avatar/1.webp",
        "/avatar/%E9%A1%94.png",
        "/avatar?seed=",
        "/avatar?seed=1&model=latest",
    ],
)
def test_an_equal_request_gets_the_same_response_without_the_route(
    client: TestClient, routed_models: list[str], path: str
) -> None:
    first = client.get(path)
    again, head = client.get(path), client.head(path)
    conditional = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert len(routed_models) == 1
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers == first.headers == head.headers
    assert (conditional.status_code, conditional.content) == (304, b"")
    body_headers = {"content-length", "content-type"}
    assert set(first.headers.items()) - set(conditional.headers.items()) == {
        (name, first.headers[name]) for name in body_headers
    }


def test_a_304_needs_no_picture_in_memory(
    client: TestClient, state: PictureState, routed_models: list[str]
) -> None:
    first = client.get("/avatar?seed=1")
    state.pictures.clear()
    conditional = client.get("/avatar?seed=1", headers={"If-None-Match": first.headers["etag"]})
    assert (conditional.status_code, len(routed_models)) == (304, 1)
    assert client.get("/avatar?seed=1").content == first.content
    assert len(routed_models) == 2


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/avatar", id="a-random-face"),
        pytest.param("/avatar/random", id="a-redirect"),
        pytest.param("/avatar?seed=1&size=0", id="a-422"),
        pytest.param("/avatar?seed=1&model=nobody", id="a-404"),
        pytest.param("/avatar?seed=" + "a" * fast_path.LONGEST_KEY, id="a-long-query"),
    ],
)
def test_a_response_that_must_not_be_kept_is_not(
    client: TestClient, state: PictureState, path: str
) -> None:
    client.get(path, follow_redirects=False)
    assert state.responses.keys == ()


def test_a_prefix_of_a_version_is_resolved_each_time(
    client: TestClient, state: PictureState, versions: list[str]
) -> None:
    client.get(f"/avatar?seed=1&model={versions[0][:12]}")
    assert state.responses.keys == ()
    client.get(f"/avatar?seed=1&model={versions[0]}")
    assert len(state.responses.keys) == 1


def test_another_accept_header_is_another_request(client: TestClient) -> None:
    responses = [
        client.get("/avatar?seed=1", headers={"Accept": accept})
        for accept in ("image/webp", "image/png", "image/webp")
    ]
    assert [response.headers["content-type"] for response in responses] == [
        "image/webp",
        "image/png",
        "image/webp",
    ]


def test_a_promotion_takes_effect_at_once(
    client: TestClient, versions: list[str], key: dict[str, str]
) -> None:
    first = client.get("/avatar?seed=1")
    assert client.get("/avatar?seed=1").content == first.content
    assert client.post(f"/models/{versions[1]}/promote", headers=key).status_code == 200
    second = client.get("/avatar?seed=1")
    assert second.headers["x-avatar-model"] == versions[1]
    assert second.content != first.content
    old = client.get("/avatar?seed=1", headers={"If-None-Match": first.headers["etag"]})
    assert old.status_code == 200


def test_the_number_of_kept_responses_is_limited(
    client: TestClient, state: PictureState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_path, "MOST_RESPONSES", 3)
    for seed in range(6):
        client.get(f"/avatar?seed={seed}&size=16")
    assert [key[1] for key in state.responses.keys] == [
        f"seed={seed}&size=16".encode() for seed in (3, 4, 5)
    ]


def test_several_if_none_match_headers_are_one_list(client: TestClient) -> None:
    etag = client.get("/avatar?seed=1").headers["etag"]
    for path in ("/avatar?seed=1", "/avatar?seed=1&size=128"):
        response = client.get(path, headers=[("If-None-Match", '"x"'), ("If-None-Match", etag)])
        assert response.status_code == 304


def test_ranges_are_not_served(client: TestClient) -> None:
    whole = client.get("/avatar?seed=1")
    part = client.get("/avatar?seed=1", headers={"Range": "bytes=0-9"})
    assert part.headers["accept-ranges"] == "none"
    assert (part.status_code, part.content) == (200, whole.content)


def test_another_method_is_refused(client: TestClient) -> None:
    response = client.post("/avatar?seed=1")
    assert response.status_code == 405
    assert response.headers["content-type"] == "application/problem+json"
