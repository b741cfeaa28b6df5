"""Errors for browsers are pages with the face of their address; programs get problem documents."""

import html
import re

import pytest
from fastapi.testclient import TestClient

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/nonsense", 404, id="nothing there"),
        pytest.param("/studio/nope", 404, id="no such page"),
        pytest.param("/avatar?size=abc", 422, id="bad parameter"),
        pytest.param("/models/nope/card", 404, id="no such model"),
        pytest.param("/train", 401, id="no key"),
        pytest.param("/session", 405, id="wrong method"),
    ],
)
def test_a_browser_gets_a_page_with_the_same_status_and_sentence(
    client: TestClient, path: str, status: int
) -> None:
    document = client.get(path)
    page = client.get(path, headers={**BROWSER, "Accept-Encoding": "identity"})
    assert (document.status_code, page.status_code) == (status, status)
    assert document.headers["content-type"] == "application/problem+json"
    assert page.headers["content-type"].startswith("text/html")
    text = html.unescape(re.sub("</?code>", "`", page.text))
    assert document.json()["detail"] in text
    assert page.headers["cache-control"] == "no-store"
    for name in ("www-authenticate", "allow"):
        assert page.headers.get(name) == document.headers.get(name)
    assert int(page.headers["content-length"]) == len(page.content)


def test_the_page_shows_the_face_of_its_address(client: TestClient) -> None:
    page = client.get("/nonsense?a=1", headers=BROWSER).text
    face = re.search(r'<img src="(/avatar[^"]+)"', page)
    assert face is not None
    answer = client.get(html.unescape(face[1]))
    assert answer.status_code == 200
    assert answer.headers["x-avatar-seed"] == "%2Fnonsense%3Fa%3D1"


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "image/avif,image/webp,*/*;q=0.8",
        "application/json,text/html",
    ],
)
def test_programs_and_images_get_the_document(client: TestClient, accept: str) -> None:
    answer = client.get("/avatar?size=abc", headers={"Accept": accept})
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_head_request_has_no_body_and_posts_get_documents(client: TestClient) -> None:
    head = client.head("/nonsense", headers=BROWSER)
    assert (head.status_code, head.content) == (404, b"")
    post = client.post("/train", headers=BROWSER, json={})
    assert post.headers["content-type"] == "application/problem+json"


def test_a_page_is_in_the_readers_language_and_escapes_the_address(client: TestClient) -> None:
    page = client.get("/<script>alert(1)</script>", headers={**BROWSER, "Accept-Language": "zh"})
    assert 'lang="zh"' in page.text
    assert "<script>alert" not in page.text
