"""A redirect leads to this server, whatever Host the client sent."""

import pytest
from starlette.testclient import TestClient

from app.http.relative_redirects import _relative


@pytest.mark.parametrize("path", ["/models/", "/docs/", "/avatar/random?psi=1"])
def test_no_redirect_repeats_the_host(client: TestClient, path: str) -> None:
    headers = {"Host": "evil.example"}
    answer = client.get(path, headers=headers, follow_redirects=False)
    assert answer.status_code in (302, 307)
    assert answer.headers["location"].startswith("/")
    assert "evil" not in answer.headers["location"]


@pytest.mark.parametrize(
    ("address", "relative"),
    [
        ("http://a.example/models", "/models"),
        ("https://a.example:8000/avatar?seed=a%2Fb#x", "/avatar?seed=a%2Fb#x"),
        ("http://a.example//evil.example/x", "/evil.example/x"),
        ("/avatar?seed=1", "/avatar?seed=1"),
    ],
)
def test_an_address_loses_its_host_alone(address: str, relative: str) -> None:
    assert _relative(address) == relative
