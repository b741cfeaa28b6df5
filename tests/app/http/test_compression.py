"""Text is compressed for clients that accept it, and pictures are not."""

import gzip
import http.client

import pytest
from starlette.testclient import TestClient

from models.registry import Registry
from tests.app.conftest import Start


@pytest.mark.parametrize(
    "path",
    ["/", "/openapi.json", "/avatar?seed=a&format=svg", "/models"],
)
def test_text_is_compressed_for_clients_that_accept_it(client: TestClient, path: str) -> None:
    for _ in range(2):  # the second picture comes from memory
        answer = client.get(path, headers={"Accept-Encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in answer.headers["vary"].lower()
        plain = client.get(path, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == answer.content
        assert int(answer.headers["content-length"]) < len(plain.content)


@pytest.mark.parametrize(
    ("accept", "is_compressed"),
    [
        ("gzip;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("br", False),
        ("x-gzip-like", False),
        ("*;q=0", False),
        ("GZIP", True),
        ("gzip;q=0.5, identity;q=0.1", True),
        ("deflate, *", True),
    ],
)
@pytest.mark.parametrize("path", ["/openapi.json", "/local/engine.js"])
def test_a_client_may_refuse_gzip(
    client: TestClient, path: str, accept: str, is_compressed: bool
) -> None:
    coding = client.get(path, headers={"Accept-Encoding": accept}).headers.get("content-encoding")
    if accept in ("br", "deflate, *") and path.startswith("/local"):
        assert coding == "br"
    else:
        assert coding == ("gzip" if is_compressed else None)


@pytest.mark.parametrize("format", ["svg", "json"])
@pytest.mark.parametrize("accept", ["gzip", "identity"])
def test_a_304_names_the_headers_that_its_200_depends_on(
    client: TestClient, format: str, accept: str
) -> None:
    """Without it, a cache would send a compressed picture to every client after a 304."""
    headers = {"Accept-Encoding": accept, "Accept": "image/svg+xml"}
    suffix = "" if format == "svg" else "&format=json"
    first = client.get(f"/avatar?seed=a{suffix}", headers=headers)
    expected = "Accept, Accept-Encoding" if format == "svg" else "Accept-Encoding"
    assert first.headers["vary"] == expected
    for _ in range(2):  # the second from memory
        condition = {**headers, "If-None-Match": first.headers["etag"]}
        answer = client.get(f"/avatar?seed=a{suffix}", headers=condition)
        assert (answer.status_code, answer.headers["vary"]) == (304, expected)


@pytest.mark.parametrize("format", ["png", "webp", "jpeg", "avif", "apng", "gif"])
def test_pictures_are_not_compressed_again(client: TestClient, format: str) -> None:
    answer = client.get(f"/avatar?seed=a&format={format}", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


def test_the_bytes_on_the_wire_are_gzip(start: Start, registry: Registry) -> None:
    live = start()
    connection = http.client.HTTPConnection(live.url.removeprefix("http://"), timeout=20)
    connection.request("GET", "/avatar?seed=a&format=svg", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(connection.getresponse().read()).startswith(b"<svg")
    connection.close()
