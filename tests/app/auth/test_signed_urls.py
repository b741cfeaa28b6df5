"""Pictures that are not public: by a key, or by an address that a key signed."""

import hmac
import json
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from starlette.testclient import TestClient

from app.auth import signed_urls
from models import key_signatures, keys
from models.database import tables
from tests.app.auth.conftest import MakeKey
from tests.app.auth.forgery import signatures_from

KEY = "kao_a-key-for-the-tests"
PICTURES = ["/avatar?seed=1", "/avatar/1.png", "/avatar", "/avatar/random", f"/avatar/{'a' * 32}"]


@pytest.mark.parametrize("url", [*PICTURES, "/sheet?count=4", "/models", "/models/default"])
def test_a_picture_needs_a_key_and_no_shared_cache_keeps_it(
    private: TestClient, key: dict[str, str], url: str
) -> None:
    refusal = private.get(url, follow_redirects=False)
    assert refusal.status_code == 401
    assert refusal.headers["cache-control"] == "no-store"
    for _ in range(2):  # the second from memory
        answer = private.get(url, headers=key, follow_redirects=False)
        assert answer.status_code in (200, 302)
        assert "public" not in answer.headers.get("cache-control", "")
        assert private.get(url).status_code == 401
    assert private.post("/avatars", json={"seeds": ["1"]}).status_code == 401


@pytest.mark.parametrize("url", PICTURES)
def test_a_signed_address_opens_without_a_key(
    private: TestClient, key: dict[str, str], url: str
) -> None:
    answer = private.post("/sign", json={"url": url, "seconds": 60}, headers=key)
    assert answer.status_code == 200
    assert abs(answer.json()["expires"] - time.time() - 60) < 30
    picture = private.get(answer.json()["url"], follow_redirects=False)
    assert picture.status_code in (200, 302)
    assert "signature" not in str(picture.headers)


def test_a_signed_address_gives_the_same_bytes_and_its_304(
    private: TestClient, key: dict[str, str]
) -> None:
    url = private.post("/sign", json={"url": "/avatar?seed=é x"}, headers=key).json()["url"]
    by_url, by_key = private.get(url), private.get("/avatar?seed=é x", headers=key)
    assert by_url.content == by_key.content
    assert by_url.headers["etag"] == by_key.headers["etag"]
    again = private.get(url, headers={"If-None-Match": by_url.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["cache-control"].startswith("private")


def _sign(database: sa.Engine, url: str, seconds: int = 60) -> str:
    """The address, signed with the first key."""
    id = keys.list_keys(database)[-1].id
    return signed_urls.sign(id, KEY, url, int(time.time()) + seconds)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda url: url.replace("seed=1", "seed=2"), "signature", id="other-seed"),
        pytest.param(lambda url: url + "&size=16", "signature", id="more"),
        pytest.param(lambda url: url.replace("/avatar", "/sheet"), "signature", id="other-path"),
        pytest.param(
            lambda url: re.sub(r"expires=\d+", "expires=9999999999", url), "signature", id="longer"
        ),
        pytest.param(lambda url: url[:-1], "signature", id="cut"),
        pytest.param(lambda url: url[:-64] + "%C3%A9" * 9, "signature", id="no-base64"),
        pytest.param(
            lambda url: re.sub(r"expires=\d+", "expires=soon", url), "signature", id="no-number"
        ),
        pytest.param(lambda url: re.sub("key=[0-9a-f]+", "key=0", url), "unknown", id="other-key"),
    ],
)
def test_a_changed_address_does_not_open(
    private: TestClient, database: sa.Engine, change: Callable[[str], str], reason: str
) -> None:
    url = _sign(database, "/avatar?seed=1")
    assert private.get(url).status_code == 200
    refusal = private.get(change(url))
    assert refusal.status_code == 403
    assert reason in refusal.json()["detail"]


def test_half_a_signature_is_none(private: TestClient, database: sa.Engine) -> None:
    url = _sign(database, "/avatar?seed=1")
    assert private.get(url.rpartition("&")[0]).status_code == 401


@pytest.mark.parametrize(
    ("address", "spelling"),
    [
        ("/avatar?seed=a&size=64", "/avatar?size=64&seed=a"),
        ("/avatar?seed=a+b", "/avatar?seed=a%20b"),
        ("/avatar/%61.png?", "/avatar/a.png"),
        ("https://kao.example/avatar?seed=a", "/avatar?seed=a"),
    ],
)
def test_spelling_and_order_do_not_matter(
    private: TestClient, database: sa.Engine, address: str, spelling: str
) -> None:
    url = _sign(database, address)
    suffix = url.partition("expires=")[2]
    joint = "&" if "?" in spelling else "?"
    assert private.get(f"{spelling}{joint}expires={suffix}").status_code == 200


def test_an_address_expires_and_ends_with_its_key(
    private: TestClient, database: sa.Engine, make_key: MakeKey
) -> None:
    secret, key = make_key("avatars")
    late = private.get(signed_urls.sign(key.id, secret, "/avatar?seed=1", int(time.time()) - 1))
    assert late.status_code == 403
    assert "expired" in late.json()["detail"]
    url = signed_urls.sign(key.id, secret, "/avatar?seed=1", int(time.time()) + 60)
    assert private.get(url).status_code == 200
    keys.revoke(database, key.id)
    assert private.get(url).status_code == 403


def test_a_key_without_the_scope_of_pictures_signs_none(
    private: TestClient, make_key: MakeKey
) -> None:
    secret, key = make_key("train")
    url = signed_urls.sign(key.id, secret, "/avatar?seed=1", int(time.time()) + 60)
    assert private.get(url).status_code == 403


def test_a_signature_opens_pictures_alone(private: TestClient, database: sa.Engine) -> None:
    url = _sign(database, "/train")
    assert private.get(url).status_code in (401, 422)


def test_the_holder_of_a_key_can_sign_as_the_docs_say(
    private: TestClient, make_key: MakeKey
) -> None:
    secret, key = make_key("avatars")
    expires = int(time.time()) + 60
    message = f"/avatar?seed=ada%40example.com&size=64\n{expires}"
    seed = hmac.digest(secret.encode(), b"kao-address-2", "sha256")
    raw = Ed25519PrivateKey.from_private_bytes(seed).sign(message.encode())
    signature = urlsafe_b64encode(raw).decode().rstrip("=")
    url = f"/avatar?seed=ada@example.com&size=64&expires={expires}&key={key.id}"
    assert private.get(f"{url}&signature={signature}").status_code == 200


def test_public_pictures_need_no_signature(client: TestClient, key: dict[str, str]) -> None:
    answer = client.post("/sign", json={"url": "/avatar?seed=1"}, headers=key)
    assert answer.status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"url": "/avatar?seed=1", "seconds": 0},
        {"url": "/avatar?seed=1", "seconds": 10**9},
        {"url": "/avatar?expires=1&key=2&signature=3"},
        {"url": "/avatar?seed=1&expires=5"},
        {"url": "/avatar?seed=1&%6Bey=5"},
        {"url": "avatar?seed=1"},
        {"url": "//avatar?seed=1"},
        {"url": "/avatar?" + "a" * 9000},
        {"url": "http://[::1"},
        {"url": "/avatar?seed=\ud800"},
    ],
    ids=[
        *("no-time", "for-ever", "twice", "own-expires", "own-key", "no-slash", "a-host-alone"),
        *("long", "no-url", "surrogate"),
    ],
)
def test_an_invalid_sign_request_is_422(
    private: TestClient, key: dict[str, str], body: dict[str, Any]
) -> None:
    assert private.post("/sign", content=json.dumps(body), headers=key).status_code == 422


def test_nothing_that_the_server_stores_signs_an_address(
    private: TestClient, database: sa.Engine
) -> None:
    with database.begin() as db:
        (row,) = db.execute(select(tables.keys)).all()
    expires = int(time.time()) + 3600
    message = f"/avatar?seed=1\n{expires}"
    for signature in signatures_from(tuple(row), [message]):
        url = f"/avatar?seed=1&expires={expires}&key={row.id}&signature={signature}"
        assert private.get(url).status_code == 403


@pytest.mark.parametrize(
    "expires",
    [
        pytest.param("4102444800", id="the-year-2100"),
        pytest.param("soon", id="letters"),
        pytest.param("9" * 400, id="huge"),
        pytest.param("-1", id="negative"),
    ],
)
def test_no_address_is_valid_for_longer_than_allowed(
    private: TestClient, database: sa.Engine, expires: str
) -> None:
    """Even one that the holder of the key signed."""
    (key,) = keys.list_keys(database)
    signature = key_signatures.sign(KEY, "address", f"/avatar?seed=1\n{expires}")
    url = f"/avatar?seed=1&expires={expires}&key={key.id}&signature={signature}"
    assert private.get(url).status_code == 403


@pytest.mark.parametrize(
    "suffix", ["&utm_source=mail", "&_=1700000000000", "&fbclid=x&v=2&t=1", "&", "&&utm_term=%FF"]
)
@pytest.mark.parametrize("path", ["/avatar?seed=a&size=32", "/morph?from=a&to=b&t=0.5&size=32"])
def test_tracking_behind_a_signature_never_breaks_a_picture(
    private: TestClient, database: sa.Engine, path: str, suffix: str
) -> None:
    """Newsletters and social networks append it; the answer is that of the signed address."""
    url = _sign(database, path)
    plain, answer = private.get(url), private.get(url + suffix)
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == plain.headers["etag"]
    assert private.get(url.replace("&size=32", "&size=32&utm_source=mail")).status_code == 403
    assert private.get(f"{url}{suffix}&size=64").status_code == 403


def test_a_signed_address_that_was_escaped_for_html_twice_opens(
    private: TestClient, database: sa.Engine
) -> None:
    url = _sign(database, "/avatar?seed=1&size=32").replace("&", "&amp;")
    assert private.get(url).status_code == 200


def test_a_signed_address_works_when_pictures_become_public(
    client: TestClient, database: sa.Engine
) -> None:
    plain = client.get("/avatar?seed=1&format=png")
    for path in ("/avatar?seed=1&format=png", "/avatar/1.png"):
        answer = client.get(_sign(database, path))
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"] == plain.headers["etag"]


def test_a_signed_address_can_be_copied_as_it_is(private: TestClient, key: dict[str, str]) -> None:
    """Without characters that a program would have to encode first."""
    url = private.post("/sign", json={"url": '/avatar?seed=a "é%20'}, headers=key).json()["url"]
    assert url.startswith("/avatar?seed=a%20%22%C3%A9%20&expires=")
    assert private.get(url).status_code == 200


def test_a_session_cannot_sign(private: TestClient) -> None:
    origin = {"Origin": "http://testserver"}
    assert private.post("/session", json={"key": KEY}, headers=origin).status_code == 200
    refusal = private.post("/sign", json={"url": "/avatar?seed=1"}, headers=origin)
    assert refusal.status_code == 403
    assert "Authorization: Bearer" in refusal.json()["detail"]


def test_a_signature_opens_no_request_with_a_body(private: TestClient, database: sa.Engine) -> None:
    """It covers the address, so any body would be signed with it."""
    url = _sign(database, "/avatars")
    assert private.post(url, json={"seeds": ["1"]}).status_code in (401, 422)
