"""HEAD is answered as GET is, without the body."""

from itertools import product

import pytest
from starlette.testclient import TestClient

PICTURES = ["/avatar?seed=a&size=32", "/og?seed=a", "/sheet?count=2&size=16"]


def test_head_is_answered_wherever_get_is(client: TestClient, key: dict[str, str]) -> None:
    run = client.post("/train", json={"preset": "smoke"}, headers=key).json()["id"]
    paths = [
        *("/", "/docs", "/studio", "/studio/new", "/studio/models", "/favicon.ico", "/robots.txt"),
        *("/openapi.json", "/models", "/models/default/card", "/health/ready", "/presets"),
        *("/manifest.webmanifest", f"/train/{run}", f"/train/{run}/events", *PICTURES),
    ]
    for path in paths:
        head = client.head(path, headers=key)
        assert head.status_code == 200, path
        assert head.content == b""
        if not path.endswith("/events"):
            assert (
                head.headers["content-type"]
                == client.get(path, headers=key).headers["content-type"]
            )
    assert client.head("/nowhere").status_code == 404
    assert client.head("/nowhere", headers={"Accept": "text/html"}).status_code == 404
    assert client.head("/avatars").status_code == 405
    assert client.delete("/avatar").headers["allow"] == "GET, HEAD"
    assert client.get("/avatars").headers["allow"] == "POST"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_head_has_the_headers_of_get(client: TestClient, language: str) -> None:
    paths = ("/", "/openapi.json", "/avatar?seed=a&format=svg", PICTURES[0], "/nowhere", "/local")
    for path, coding in product(paths, ("gzip", "identity")):
        headers = {"Accept-Encoding": coding, "Accept": "text/html", "Accept-Language": language}
        expected, answer = client.get(path, headers=headers), client.head(path, headers=headers)
        assert (answer.status_code, answer.content) == (expected.status_code, b""), path
        for name in ("content-length", "content-type", "content-encoding", "vary", "etag"):
            assert answer.headers.get(name) == expected.headers.get(name), (path, name)
