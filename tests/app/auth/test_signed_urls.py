"""Pictures that are not open to all: by a key, or by an address that a key signed."""

import hashlib
import hmac
import json
import re
import time

import pytest
from starlette.testclient import TestClient

from app.auth import signed_urls
from app.main import create_app
from models import keys
from models.database.engine import connect
from models.registry import Registry
from models.settings import Settings


@pytest.fixture
def private(settings: Settings, registry: Registry):
    """An app whose pictures need a key."""
    closed = settings.model_copy(update={"public_avatars": False})
    with TestClient(create_app(closed), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def database(settings: Settings, private):
    engine = connect(settings)
    yield engine
    engine.dispose()


PICTURES = ["/avatar?seed=1", "/avatar/1.png", "/avatar", "/avatar/random", f"/avatar/{'a' * 32}"]


@pytest.mark.parametrize("url", [*PICTURES, "/sheet?count=4", "/models", "/models/default"])
def test_a_picture_needs_a_key_and_no_shared_cache_keeps_it(
    private, key: dict[str, str], url
) -> None:
    refused = private.get(url, follow_redirects=False)
    assert refused.status_code == 401
    assert refused.headers["cache-control"] == "no-store"
    for _ in range(2):  # the second from memory
        answer = private.get(url, headers=key, follow_redirects=False)
        assert answer.status_code in (200, 302)
        assert "public" not in answer.headers.get("cache-control", "")
        assert private.get(url).status_code == 401
    assert private.post("/avatars", json={"seeds": ["1"]}).status_code == 401


@pytest.mark.parametrize("url", PICTURES)
def test_a_signed_address_opens_without_a_key(private, key: dict[str, str], url) -> None:
    answer = private.post("/sign", json={"url": url, "seconds": 60}, headers=key)
    assert answer.status_code == 200
    assert abs(answer.json()["expires"] - time.time() - 60) < 30
    opened = private.get(answer.json()["url"], follow_redirects=False)
    assert opened.status_code in (200, 302)
    assert "signature" not in str(opened.headers)


def test_a_signed_address_gives_the_same_bytes_and_its_304(private, key: dict[str, str]) -> None:
    url = private.post("/sign", json={"url": "/avatar?seed=é x"}, headers=key).json()["url"]
    signed, asked = private.get(url), private.get("/avatar?seed=é x", headers=key)
    assert signed.content == asked.content
    assert signed.headers["etag"] == asked.headers["etag"]
    again = private.get(url, headers={"If-None-Match": signed.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["cache-control"].startswith("private")


def _first(database):
    return keys.listed(database)[-1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda url: url.replace("seed=1", "seed=2"), "signature", id="other-seed"),
        pytest.param(lambda url: url + "&size=16", "signature", id="more"),
        pytest.param(lambda url: url.replace("/avatar", "/sheet"), "signature", id="other-path"),
        pytest.param(
            lambda url: re.sub(r"expires=\d+", "expires=9999999999", url), "signature", id="longer"
        ),
        pytest.param(lambda url: url[:-1], "signature", id="cut"),
        pytest.param(lambda url: url[:-64] + "%C3%A9" * 9, "signature", id="no-hex"),
        pytest.param(
            lambda url: re.sub(r"expires=\d+", "expires=soon", url), "signature", id="no-number"
        ),
        pytest.param(lambda url: re.sub("key=[0-9a-f]+", "key=0", url), "exist", id="other-key"),
    ],
)
def test_a_changed_address_does_not_open(private, database, change, told) -> None:
    url = signed_urls.sign(_first(database), "/avatar?seed=1", int(time.time()) + 60)
    assert private.get(url).status_code == 200
    refused = private.get(change(url))
    assert refused.status_code == 403
    assert told in refused.json()["detail"]


def test_half_a_signature_is_none(private, database) -> None:
    url = signed_urls.sign(_first(database), "/avatar?seed=1", int(time.time()) + 60)
    assert private.get(url.rpartition("&")[0]).status_code == 401


@pytest.mark.parametrize(
    ("signed", "asked"),
    [
        ("/avatar?seed=a&size=64", "/avatar?size=64&seed=a"),
        ("/avatar?seed=a+b", "/avatar?seed=a%20b"),
        ("/avatar/%61.png?", "/avatar/a.png"),
        ("https://kao.example/avatar?seed=a", "/avatar?seed=a"),
    ],
)
def test_spelling_and_order_do_not_matter(private, database, signed, asked) -> None:
    url = signed_urls.sign(_first(database), signed, int(time.time()) + 60)
    words = url.partition("expires=")[2]
    joint = "&" if "?" in asked else "?"
    assert private.get(f"{asked}{joint}expires={words}").status_code == 200


def test_an_address_expires_and_ends_with_its_key(private, database) -> None:
    _, key = keys.create(database, "web", ["avatars"])
    late = private.get(signed_urls.sign(key, "/avatar?seed=1", int(time.time()) - 1))
    assert late.status_code == 403
    assert "expired" in late.json()["detail"]
    url = signed_urls.sign(key, "/avatar?seed=1", int(time.time()) + 60)
    assert private.get(url).status_code == 200
    keys.revoke(database, key.id)
    assert private.get(url).status_code == 403


def test_a_key_that_may_see_no_picture_signs_none(private, database) -> None:
    _, key = keys.create(database, "ci", ["train"])
    url = signed_urls.sign(key, "/avatar?seed=1", int(time.time()) + 60)
    assert private.get(url).status_code == 403


def test_a_signature_opens_pictures_alone(private, database) -> None:
    url = signed_urls.sign(_first(database), "/train", int(time.time()) + 60)
    assert private.get(url).status_code in (401, 422)


def test_whoever_has_a_key_can_sign_as_docs_say(private, database) -> None:
    secret, key = keys.create(database, "web", ["avatars"])
    expires = int(time.time()) + 60
    told = f"kao-address-1\n/avatar?seed=ada%40example.com&size=64\n{expires}"
    hashed = hashlib.sha256(secret.encode()).digest()
    signature = hmac.new(hashed, told.encode(), "sha256").hexdigest()
    url = f"/avatar?seed=ada@example.com&size=64&expires={expires}&key={key.id}"
    assert private.get(f"{url}&signature={signature}").status_code == 200


def test_where_pictures_are_open_there_is_nothing_to_sign(
    client: TestClient, key: dict[str, str]
) -> None:
    answer = client.post("/sign", json={"url": "/avatar?seed=1"}, headers=key)
    assert answer.status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"url": "/avatar?seed=1", "seconds": 0},
        {"url": "/avatar?seed=1", "seconds": 10**9},
        {"url": "/avatar?expires=1&key=2&signature=3"},
        {"url": "/avatar?" + "a" * 9000},
        {"url": "http://[::1"},
        {"url": "/avatar?seed=\ud800"},
    ],
    ids=["no-time", "for-ever", "twice", "long", "no-url", "surrogate"],
)
def test_what_cannot_be_signed_is_422(private, key: dict[str, str], body) -> None:
    assert private.post("/sign", content=json.dumps(body), headers=key).status_code == 422
