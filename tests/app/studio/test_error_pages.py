"""Errors for browsers are pages with the face of their address; programs get problem documents."""

import html
import re
from typing import Any, Never

import pytest
from fastapi.testclient import TestClient

from app import problems
from app.errors import TooManyRequests
from tests.support.app_client import state_of

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


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        pytest.param({**BROWSER, "Accept-Language": "zh"}, "服务器内部出错", id="page"),
        pytest.param({"Accept-Language": "zh"}, "服务器内部出错", id="document"),
        pytest.param({}, "An internal error occurred", id="English document"),
    ],
)
def test_a_defect_is_answered_as_its_reader_prefers(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], sentence: str
) -> None:
    def fail(*_: Any) -> Never:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(state_of(client).registry, "list_models", fail)
    before = problems.SENT_COUNTS["internal-error"]
    answer = client.get("/models", headers=headers)
    assert answer.status_code == 500
    is_page = "Accept" in headers
    assert answer.headers["content-type"].startswith(
        "text/html" if is_page else "application/problem+json"
    )
    text = answer.text if is_page else answer.json()["detail"]
    assert sentence in text
    assert "swordfish" not in answer.text
    assert answer.headers["x-request-id"]
    assert problems.SENT_COUNTS["internal-error"] == before + 1


def test_a_client_that_has_used_up_its_pictures_is_offered_none(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Never:
        raise TooManyRequests("More than 3 faces in 60 seconds.", {})

    monkeypatch.setattr(state_of(client).registry, "list_models", refuse)
    page = client.get("/models", headers=BROWSER)
    assert page.status_code == 429
    assert "More than 3 faces" in page.text
    assert '<img src="/avatar' not in page.text
