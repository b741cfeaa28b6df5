"""A browser's session: opened by a key, for this server's own pages, ended with its key."""

import time

import pytest
from starlette.testclient import TestClient

from app.auth import sessions
from app.main import create_app
from models import keys
from models.database.engine import connect
from models.registry import Registry
from models.settings import Settings

KEY = "kao_a-key-for-the-tests"
OWN = {"Origin": "http://testserver"}
READ = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def make_key(settings: Settings, client: TestClient):
    engine = connect(settings)

    def make(*scopes):
        secret, key = keys.create(engine, "a test's", scopes)
        return secret, key.id

    yield make
    engine.dispose()


def _log_in(client, key=KEY, headers=OWN):
    return client.post("/session", json={"key": key}, headers=headers)


def test_a_key_becomes_a_cookie_that_opens_what_the_key_opens(client: TestClient, make_key) -> None:
    secret, _ = make_key("read")
    assert client.get("/train").status_code == 401
    answer = _log_in(client, secret)
    assert answer.status_code == 200
    assert answer.json()["scopes"] == ["read"]
    assert client.get("/train").status_code == 200
    refused = client.post("/train", json={"preset": "smoke"}, headers=OWN)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:kao:problem:forbidden")
    assert "'train'" in refused.json()["detail"]


def test_the_cookie_is_closed_to_scripts_and_other_sites_and_is_not_the_key(
    client: TestClient,
) -> None:
    answer = _log_in(client)
    told = answer.headers["set-cookie"]
    parts = {part.strip().lower() for part in told.split(";")}
    assert {"httponly", "samesite=strict", "path=/", f"max-age={sessions.LASTS}"} <= parts
    assert "secure" not in parts
    assert not any(part.startswith("domain") for part in parts)
    assert KEY not in told
    assert keys.hash_of(KEY) not in told
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
def test_another_site_can_neither_log_in_nor_use_a_session(client: TestClient, headers) -> None:
    assert _log_in(client, headers=headers).status_code == 403
    assert "set-cookie" not in _log_in(client, headers=headers).headers
    assert _log_in(client).status_code == 200
    for method, path in (
        ("POST", "/train"),
        ("POST", "/models/rollback"),
        ("DELETE", "/datasets/x"),
        ("DELETE", "/session"),
    ):
        refused = client.request(method, path, headers=headers)
        assert (path, refused.status_code) == (path, 403)
        assert "Authorization: Bearer" in refused.json()["detail"]
    assert client.get("/train").json() == {"runs": []}


@pytest.mark.parametrize("headers", [OWN, READ, {"Origin": "http://TESTSERVER:80"}])
def test_an_own_page_may_change_things(client: TestClient, headers) -> None:
    assert _log_in(client, headers=headers).status_code == 200
    answer = client.post("/train", json={"preset": "smoke"}, headers=headers)
    assert answer.status_code == 202


def test_a_bearer_key_needs_no_origin_also_beside_a_cookie(
    client: TestClient, key: dict[str, str]
) -> None:
    _log_in(client)
    assert client.post("/train", json={"preset": "smoke"}, headers=key).status_code == 202


@pytest.mark.parametrize("wrong", ["kao_wrong", "", " ", "kao_\u0000", "\U0001f642" * 50])
def test_a_wrong_key_is_told_what_to_do(client: TestClient, wrong) -> None:
    answer = _log_in(client, wrong)
    assert answer.status_code == 401
    assert "api-key" in answer.json()["detail"]
    assert "set-cookie" not in answer.headers
    assert not wrong.strip() or wrong not in answer.text


def test_guesses_are_counted(settings: Settings, registry: Registry) -> None:
    strict = settings.model_copy(update={"limit_calls": "3/hour"})
    with TestClient(create_app(strict), client=("203.0.113.5", 1)) as client:
        answers = [_log_in(client, "kao_guess").status_code for _ in range(5)]
    assert answers == [401, 401, 401, 429, 429]


def test_a_revoked_key_ends_its_sessions_at_once_on_every_replica(
    client: TestClient, settings: Settings, make_key
) -> None:
    secret, id = make_key("read")
    assert _log_in(client, secret).status_code == 200
    with TestClient(create_app(settings), cookies=dict(client.cookies)) as replica:
        assert replica.get("/train").status_code == 200
        keys.revoke(client.app.state.services.database, id)
        for each in (client, replica):
            assert each.get("/train").status_code == 401
            assert "/studio" in each.get("/train").json()["detail"]
    assert _log_in(client, secret).status_code == 401


def test_logging_out_makes_the_browser_forget(client: TestClient) -> None:
    _log_in(client)
    answer = client.delete("/session", headers=OWN)
    assert answer.status_code == 204
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert client.cookies.get(sessions.NAME) is None
    assert client.get("/train").status_code == 401
    assert client.delete("/session", headers=OWN).status_code == 204


def test_a_session_ends_after_its_time(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    _log_in(client)
    later = time.time() + sessions.LASTS + 1
    monkeypatch.setattr("time.time", lambda: later)
    assert client.get("/train").status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda told: told[:-1] + ("0" if told[-1] != "0" else "1"), id="signature"),
        pytest.param(lambda told: told.replace(".", ".9", 1), id="longer"),
        pytest.param(lambda told: "x" + told, id="another-key"),
        pytest.param(lambda told: told.rpartition(".")[0], id="unsigned"),
        pytest.param(lambda told: "..", id="dots"),
        pytest.param(lambda told: "a.b.c.d", id="letters"),
    ],
)
def test_a_changed_cookie_opens_nothing(client: TestClient, change) -> None:
    _log_in(client)
    changed = change(client.cookies[sessions.NAME])
    client.cookies.clear()
    client.cookies.set(sessions.NAME, changed)
    assert client.get("/train").status_code == 401


def test_one_keys_signature_makes_no_session_of_another(client: TestClient, make_key) -> None:
    reader, _ = make_key("read")
    _, other = make_key("keys", "train")
    _log_in(client, reader)
    _, expires, signature = client.cookies[sessions.NAME].split(".")
    client.cookies.clear()
    client.cookies.set(sessions.NAME, f"{other}.{expires}.{signature}")
    assert client.get("/train").status_code == 401


def test_no_log_and_no_metric_has_the_key_or_the_cookie(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    _log_in(client, "kao_mistyped-by-a-person")
    _log_in(client)
    cookie = client.cookies[sessions.NAME]
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
    closed = settings.model_copy(update={"public_avatars": False})
    with TestClient(create_app(closed)) as client:
        assert client.get("/avatar?seed=1").status_code == 401
        _log_in(client)
        assert client.get("/avatar?seed=1").status_code == 200
