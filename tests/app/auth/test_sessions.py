"""A browser's session: opened by a key, for pages of this server, ended with its key."""

import time
from collections.abc import Callable

import httpx2 as httpx
import pytest
import sqlalchemy as sa
from sqlalchemy import select
from starlette.testclient import TestClient

from app.auth import sessions
from app.main import create_app
from models import key_signatures, keys
from models.database import tables
from models.registry import Registry
from models.settings import Settings
from tests.app.auth.conftest import MakeKey
from tests.app.auth.forgery import session_cookies
from tests.support.app_client import state_of

KEY = "kao_a-key-for-the-tests"
OWN = {"Origin": "http://testserver"}
READ = {"Sec-Fetch-Site": "same-origin"}


def _log_in(client: TestClient, key: str = KEY, headers: dict[str, str] = OWN) -> httpx.Response:
    return client.post("/session", json={"key": key}, headers=headers)


def test_a_key_becomes_a_cookie_that_opens_what_the_key_opens(
    client: TestClient, make_key: MakeKey
) -> None:
    secret, _ = make_key("read")
    assert client.get("/train").status_code == 401
    answer = _log_in(client, secret)
    assert answer.status_code == 200
    assert answer.json()["scopes"] == ["read"]
    assert client.get("/train").status_code == 200
    refusal = client.post("/train", json={"preset": "smoke"}, headers=OWN)
    assert (refusal.status_code, refusal.json()["type"]) == (403, "urn:kao:problem:forbidden")
    assert "'train'" in refusal.json()["detail"]


def test_the_cookie_is_closed_to_scripts_and_other_sites_and_is_not_the_key(
    client: TestClient,
) -> None:
    answer = _log_in(client)
    cookie = answer.headers["set-cookie"]
    parts = {part.strip().lower() for part in cookie.split(";")}
    assert {"httponly", "samesite=strict", "path=/", f"max-age={sessions.LIFETIME}"} <= parts
    assert "secure" not in parts
    assert not any(part.startswith("domain") for part in parts)
    assert KEY not in cookie
    assert keys.hash_of(KEY) not in cookie
    assert answer.headers["cache-control"] == "no-store"


def test_over_https_the_cookie_is_secure(client: TestClient) -> None:
    with TestClient(client.app, base_url="https://testserver") as https:
        answer = _log_in(https, headers={"Origin": "https://testserver"})
        assert "; Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="says-nothing"),
        pytest.param({"Origin": "null"}, id="null"),
        pytest.param({"Origin": "http://evil.example"}, id="another-site"),
        pytest.param({"Origin": "http://testserver:8001"}, id="another-port"),
        pytest.param({"Origin": "http://testserver.evil.example"}, id="a-longer-name"),
        pytest.param({"Origin": "http://[::1"}, id="no-address"),
        pytest.param({"Origin": "http://testserver:x"}, id="no-port"),
        pytest.param({"Origin": "file://testserver"}, id="a-file"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, id="cross-site"),
        pytest.param({"Sec-Fetch-Site": "same-site", **OWN}, id="a-subdomain"),
        pytest.param({"Sec-Fetch-Site": "none"}, id="typed-by-hand"),
    ],
)
def test_another_site_can_neither_log_in_nor_use_a_session(
    client: TestClient, headers: dict[str, str]
) -> None:
    assert _log_in(client, headers=headers).status_code == 403
    assert "set-cookie" not in _log_in(client, headers=headers).headers
    assert _log_in(client).status_code == 200
    for method, path in (
        ("POST", "/train"),
        ("POST", "/models/rollback"),
        ("DELETE", "/datasets/x"),
        ("DELETE", "/session"),
    ):
        refusal = client.request(method, path, headers=headers)
        assert (path, refusal.status_code) == (path, 403)
        assert "Authorization: Bearer" in refusal.json()["detail"]
    assert client.get("/train").json() == {"runs": []}


@pytest.mark.parametrize("headers", [OWN, READ, {"Origin": "http://TESTSERVER:80"}])
def test_an_own_page_may_change_things(client: TestClient, headers: dict[str, str]) -> None:
    assert _log_in(client, headers=headers).status_code == 200
    answer = client.post("/train", json={"preset": "smoke"}, headers=headers)
    assert answer.status_code == 202


def test_a_bearer_key_needs_no_origin_also_beside_a_cookie(
    client: TestClient, key: dict[str, str]
) -> None:
    _log_in(client)
    assert client.post("/train", json={"preset": "smoke"}, headers=key).status_code == 202


@pytest.mark.parametrize("wrong", ["kao_wrong", "", " ", "kao_\u0000", "\U0001f642" * 50])
def test_the_answer_to_a_wrong_key_says_where_keys_are(client: TestClient, wrong: str) -> None:
    answer = _log_in(client, wrong)
    assert answer.status_code == 401
    assert "api-key" in answer.json()["detail"]
    assert "set-cookie" not in answer.headers
    assert not wrong.strip() or wrong not in answer.text


def test_guesses_are_charged(settings: Settings, registry: Registry) -> None:
    strict = settings.model_copy(update={"limit_calls": "3/hour"})
    with TestClient(create_app(strict), client=("203.0.113.5", 1)) as client:
        answers = [_log_in(client, "kao_guess").status_code for _ in range(5)]
    assert answers == [401, 401, 401, 429, 429]


def test_a_revoked_key_ends_its_sessions_at_once_on_every_replica(
    client: TestClient, settings: Settings, make_key: MakeKey
) -> None:
    secret, key = make_key("read")
    assert _log_in(client, secret).status_code == 200
    with TestClient(create_app(settings), cookies=dict(client.cookies)) as replica:
        assert replica.get("/train").status_code == 200
        keys.revoke(state_of(client).database, key.id)
        for each in (client, replica):
            assert each.get("/train").status_code == 401
            assert "/studio" in each.get("/train").json()["detail"]
    assert _log_in(client, secret).status_code == 401


def test_logging_out_deletes_the_cookie(client: TestClient) -> None:
    _log_in(client)
    answer = client.delete("/session", headers=OWN)
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert client.cookies.get(sessions.COOKIE) is None
    assert client.get("/train").status_code == 401
    assert client.delete("/session", headers=OWN).status_code == 204


def test_a_session_ends_after_its_time(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    _log_in(client)
    later = time.time() + sessions.LIFETIME + 1
    monkeypatch.setattr("time.time", lambda: later)
    assert client.get("/train").status_code == 401


def _flip_a_character(cookie: str) -> str:
    return cookie[:-9] + ("0" if cookie[-9] != "0" else "1") + cookie[-8:]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_flip_a_character, id="signature"),
        pytest.param(lambda cookie: cookie.replace(".", ".9", 1), id="longer"),
        pytest.param(lambda cookie: "x" + cookie, id="another-key"),
        pytest.param(lambda cookie: cookie.rpartition(".")[0], id="unsigned"),
        pytest.param(lambda cookie: "..", id="dots"),
        pytest.param(lambda cookie: "a.b.c.d", id="letters"),
    ],
)
def test_a_changed_cookie_opens_nothing(client: TestClient, change: Callable[[str], str]) -> None:
    _log_in(client)
    cookie = change(client.cookies[sessions.COOKIE])
    client.cookies.clear()
    client.cookies.set(sessions.COOKIE, cookie)
    assert client.get("/train").status_code == 401


def test_one_keys_signature_makes_no_session_of_another(
    client: TestClient, make_key: MakeKey
) -> None:
    reader, _ = make_key("read")
    _, other = make_key("keys", "train")
    _log_in(client, reader)
    _, expires, signature = client.cookies[sessions.COOKIE].split(".")
    client.cookies.clear()
    client.cookies.set(sessions.COOKIE, f"{other.id}.{expires}.{signature}")
    assert client.get("/train").status_code == 401


def test_no_log_and_no_metric_has_the_key_or_the_cookie(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    _log_in(client, "kao_mistyped-by-a-person")
    _log_in(client)
    cookie = client.cookies[sessions.COOKIE]
    client.post("/train", json={"preset": "smoke"}, headers=OWN)
    metrics = client.get("/metrics").text
    client.post("/session", content=f'{{"key": "{KEY}', headers=OWN)
    client.delete("/session", headers=OWN)
    logs = "".join(capsys.readouterr())
    assert "/session" in logs
    for secret in (KEY, "kao_mistyped-by-a-person", cookie, cookie.rpartition(".")[2]):
        assert secret not in logs
        assert secret not in metrics


def test_a_session_sees_private_pictures(settings: Settings, registry: Registry) -> None:
    private = settings.model_copy(update={"public_avatars": False})
    with TestClient(create_app(private)) as client:
        assert client.get("/avatar?seed=1").status_code == 401
        _log_in(client)
        assert client.get("/avatar?seed=1").status_code == 200


def test_nothing_that_the_server_stores_makes_a_session(
    client: TestClient, database: sa.Engine
) -> None:
    """A reader of the database, a backup or a log cannot forge a session."""
    with database.begin() as db:
        (row,) = db.execute(select(tables.keys)).all()
    expires = int(time.time()) + 3600
    cookies = list(session_cookies(row.id, expires, tuple(row)))
    assert len(cookies) > 10
    for cookie in cookies:
        client.cookies.set(sessions.COOKIE, cookie)
        assert client.get("/keys").status_code == 401
        client.cookies.clear()


@pytest.mark.parametrize(
    "expires",
    [
        pytest.param("4102444800", id="the-year-2100"),
        pytest.param(str(int(time.time()) + sessions.LIFETIME + 3600), id="an-hour-too-long"),
        pytest.param("soon", id="letters"),
        pytest.param("1" * 400, id="huge"),
        pytest.param("\u0663" * 10, id="arabic-digits"),
        pytest.param("-1", id="negative"),
    ],
)
def test_no_session_outlives_what_the_server_grants(
    client: TestClient, database: sa.Engine, expires: str
) -> None:
    """Even one that the holder of the key signed."""
    (key,) = keys.list_keys(database)
    signature = key_signatures.sign(KEY, "session", sessions._message(key.id, expires))
    cookie = f"{sessions.COOKIE}={key.id}.{expires}.{signature}".encode()
    assert client.get("/train", headers={b"Cookie": cookie}).status_code == 401
    soon = str(int(time.time()) + 3600)
    signature = key_signatures.sign(KEY, "session", sessions._message(key.id, soon))
    client.cookies.set(sessions.COOKIE, f"{key.id}.{soon}.{signature}")
    assert client.get("/train").status_code == 200


def test_a_key_from_before_sessions_had_keys_of_their_own_works(
    client: TestClient, database: sa.Engine
) -> None:
    with database.begin() as db:
        db.execute(sa.update(tables.keys).values(session_key=None, address_key=None))
    assert _log_in(client).status_code == 200
    assert client.get("/train").status_code == 200
