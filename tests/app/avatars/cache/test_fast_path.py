"""The short way answers what the long way would, and only while that is true."""

import pytest
from fastapi.testclient import TestClient

from app.avatars.cache import fast_path


@pytest.fixture
def held(client: TestClient):
    return client.app.state.kao


@pytest.fixture
def long_way(held, monkeypatch: pytest.MonkeyPatch):
    """Counts the requests that reach the routes."""
    asked = []
    resolve = held.engine.resolve

    async def counted(name):
        asked.append(name)
        return await resolve(name)

    monkeypatch.setattr(held.engine, "resolve", counted)
    return asked


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
def test_the_same_words_again_take_the_short_way_to_the_same_answer(
    client: TestClient, long_way, path
) -> None:
    first = client.get(path)
    again, head = client.get(path), client.head(path)
    known = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert len(long_way) == 1
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers == first.headers == head.headers
    assert (known.status_code, known.content) == (304, b"")
    described = {"content-length", "content-type"}
    assert set(first.headers.items()) - set(known.headers.items()) == {
        (name, first.headers[name]) for name in described
    }


def test_a_304_is_short_even_when_the_picture_is_gone(client: TestClient, held, long_way) -> None:
    first = client.get("/avatar?seed=1")
    held.pictures.clear()
    known = client.get("/avatar?seed=1", headers={"If-None-Match": first.headers["etag"]})
    assert (known.status_code, len(long_way)) == (304, 1)
    assert client.get("/avatar?seed=1").content == first.content
    assert len(long_way) == 2


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/avatar", id="a-random-face"),
        pytest.param("/avatar/random", id="a-redirect"),
        pytest.param("/avatar?seed=1&size=0", id="a-422"),
        pytest.param("/avatar?seed=1&model=nobody", id="a-404"),
        pytest.param("/avatar?seed=" + "a" * fast_path.LONGEST_KEY, id="long-words"),
    ],
)
def test_what_may_not_be_kept_is_not(client: TestClient, held, path) -> None:
    client.get(path, follow_redirects=False)
    assert held.responses.keys == ()


def test_a_prefix_of_a_version_is_looked_up_each_time(
    client: TestClient, held, versions: list[str]
) -> None:
    client.get(f"/avatar?seed=1&model={versions[0][:12]}")
    assert held.responses.keys == ()
    client.get(f"/avatar?seed=1&model={versions[0]}")
    assert len(held.responses.keys) == 1


def test_another_accept_is_another_request(client: TestClient) -> None:
    answers = [
        client.get("/avatar?seed=1", headers={"Accept": accept})
        for accept in ("image/webp", "image/png", "image/webp")
    ]
    assert [answer.headers["content-type"] for answer in answers] == [
        "image/webp",
        "image/png",
        "image/webp",
    ]


def test_a_moved_alias_is_followed_at_once(
    client: TestClient, versions: list[str], key: dict[str, str]
) -> None:
    first = client.get("/avatar?seed=1")
    assert client.get("/avatar?seed=1").content == first.content
    assert client.post(f"/models/{versions[1]}/promote", headers=key).status_code == 200
    moved = client.get("/avatar?seed=1")
    assert moved.headers["x-avatar-model"] == versions[1]
    assert moved.content != first.content
    old = client.get("/avatar?seed=1", headers={"If-None-Match": first.headers["etag"]})
    assert old.status_code == 200


def test_only_so_many_requests_are_remembered(
    client: TestClient, held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_path, "MOST_RESPONSES", 3)
    for seed in range(6):
        client.get(f"/avatar?seed={seed}&size=16")
    assert [words[1] for words in held.responses.keys] == [
        f"seed={seed}&size=16".encode() for seed in (3, 4, 5)
    ]


def test_several_lines_of_if_none_match_are_one_list(client: TestClient) -> None:
    tag = client.get("/avatar?seed=1").headers["etag"]
    for path in ("/avatar?seed=1", "/avatar?seed=1&size=128"):
        answer = client.get(path, headers=[("If-None-Match", '"x"'), ("If-None-Match", tag)])
        assert answer.status_code == 304


def test_ranges_are_not_pretended(client: TestClient) -> None:
    whole = client.get("/avatar?seed=1")
    part = client.get("/avatar?seed=1", headers={"Range": "bytes=0-9"})
    assert part.headers["accept-ranges"] == "none"
    assert (part.status_code, part.content) == (200, whole.content)


def test_another_method_is_refused_as_everywhere(client: TestClient) -> None:
    answer = client.post("/avatar?seed=1")
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
