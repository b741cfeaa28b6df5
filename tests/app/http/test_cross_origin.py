"""Pages of other sites may use pictures and read their errors, and nothing else."""

import hashlib

import pytest
from starlette.testclient import TestClient

MD5 = hashlib.md5(b"ada@example.com").hexdigest()
PICTURES = ["/avatar?seed=a&size=32", "/og?seed=a", "/sheet?count=2&size=16"]


@pytest.mark.parametrize(
    "path",
    [
        *("/avatar?seed=a&size=0", "/avatar?sed=a", "/avatar/a.b", "/og", "/avatar/random?size=0"),
        *(f"/avatar/{MD5}?d=404&f=y", "/avatar.php?d=404"),
        *("/models/none/browser.json", "/models/default/browser/none"),
    ],
)
def test_another_site_can_read_why_there_is_no_picture(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code in (404, 422)
    assert answer.headers["access-control-allow-origin"] == "*"


def test_errors_of_other_routes_stay_closed(client: TestClient) -> None:
    answer = client.get("/train", headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 401
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        *("/avatar", "/avatar/ada.png", "/avatar.php", "/avatars", "/morph"),
        *("/models/default/browser.json", "/models/default/browser/traits.json"),
    ],
)
def test_a_browser_may_ask_before_it_sends_a_key(client: TestClient, path: str) -> None:
    headers = {
        "Origin": "https://elsewhere.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    answer = client.options(path, headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "authorization" in answer.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        *(*PICTURES, f"/avatar/{MD5}", f"/avatar/{MD5}?d=blank&f=y"),
        *("/avatar/random", "/models/default/samples.png"),
    ],
)
def test_a_page_with_coep_may_embed_a_picture(client: TestClient, path: str) -> None:
    for _ in range(2):
        answer = client.get(path, follow_redirects=False)
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.parametrize("path", ["/sheet/?count=2", "/og/?seed=a", "/avatars/"])
def test_another_site_can_follow_the_redirect_of_a_picture(client: TestClient, path: str) -> None:
    answer = client.get(path, follow_redirects=False)
    assert answer.is_redirect
    assert answer.headers["access-control-allow-origin"] == "*"
