"""Who may do what: every route by its scope, walked from the OpenAPI document."""

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from models import keys
from models.database.engine import connect
from models.settings import Settings

METHODS = ("get", "post", "put", "patch", "delete")
# What changes nothing that lasts may be open: a batch of faces, the login of a browser, and a
# signature, which is refused where pictures are open.
OPEN = {("POST", "/avatars"), ("POST", "/sign"), ("POST", "/session"), ("DELETE", "/session")}


@pytest.fixture
def operations(client: TestClient):
    """(method, path, scope) of each operation; scope None: open to all."""
    found = []
    for path, methods in client.app.openapi()["paths"].items():
        for method in methods.keys() & set(METHODS):
            security = methods[method].get("security", [{}])
            scope = None if {} in security else security[0]["key"][0]
            found.append((method.upper(), path, scope))
    return found


@pytest.fixture
def make_key(settings: Settings, client: TestClient):
    """Headers with a new key of these scopes, and its id."""
    engine = connect(settings)

    def make(*scopes):
        secret, key = keys.create(engine, "a test's", scopes)
        return {"Authorization": f"Bearer {secret}"}, key.id

    yield make
    engine.dispose()


def test_every_changing_route_needs_a_scope(operations) -> None:
    unguarded = {row[:2] for row in operations if row[0] != "GET" and row[2] is None}
    assert unguarded <= OPEN
    assert {row[2] for row in operations} >= set(keys.SCOPES) - {"avatars"}


def test_every_route_of_training_datasets_and_keys_needs_a_scope(operations) -> None:
    rooms = ("/train", "/datasets", "/keys")
    assert [row for row in operations if row[1].startswith(rooms) and row[2] is None] == []


def _asked(client, method, path, headers):
    name = path.replace("{", "").replace("}", "")
    return client.request(method, name, headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer kao_wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic a2FvOmthbw=="},
        {"Authorization": b"Bearer \xff"},
    ],
    ids=["none", "wrong", "empty", "basic", "bytes"],
)
def test_without_a_key_nothing_is_told_or_done(client: TestClient, operations, headers) -> None:
    for method, path, scope in operations:
        if scope is not None:
            answer = _asked(client, method, path, headers)
            assert (path, answer.status_code) == (path, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert "api-key" in answer.json()["detail"]


def test_every_other_scope_together_is_not_enough(client: TestClient, operations, make_key) -> None:
    for needed in keys.SCOPES:
        headers, _ = make_key(*(keys.SCOPES.keys() - {needed}))
        for method, path, scope in operations:
            if scope == needed:
                answer = _asked(client, method, path, headers)
                assert (path, answer.status_code) == (path, 403)
                assert answer.json()["type"] == "urn:kao:problem:forbidden"
                assert repr(needed) in answer.json()["detail"]
                assert f'scope="{needed}"' in answer.headers["www-authenticate"]


def test_a_read_key_cannot_train_and_a_train_key_can(client: TestClient, make_key) -> None:
    reader, _ = make_key("read")
    trainer, _ = make_key("train")
    assert client.get("/train", headers=reader).status_code == 200
    assert client.post("/train", json={"preset": "smoke"}, headers=reader).status_code == 403
    assert client.post("/train", json={"preset": "smoke"}, headers=trainer).status_code == 202


def test_a_revoked_key_fails_at_once_on_every_replica(
    client: TestClient, settings: Settings, make_key
) -> None:
    headers, id = make_key("read")
    with TestClient(create_app(settings)) as replica:
        assert client.get("/train", headers=headers).status_code == 200
        assert replica.get("/train", headers=headers).status_code == 200
        engine = connect(settings)
        keys.revoke(engine, id)
        engine.dispose()
        assert client.get("/train", headers=headers).status_code == 401
        assert replica.get("/train", headers=headers).status_code == 401


def test_a_server_without_an_active_key_starts_for_this_machine_alone(
    settings: Settings, client: TestClient
) -> None:
    engine = connect(settings)
    for key in keys.listed(engine):
        keys.revoke(engine, key.id)
    engine.dispose()
    with TestClient(create_app(settings)):
        pass
    everybody = settings.model_copy(update={"host": "0.0.0.0"})
    with pytest.raises(Exception, match="kao keys create"), TestClient(create_app(everybody)):
        pass


@pytest.mark.parametrize(
    ("method", "url", "headers", "content"),
    [
        pytest.param("GET", "/train", {"Authorization": "Bearer {}"}, "", id="where-it-belongs"),
        pytest.param("GET", "/train", {"Authorization": "Basic {}"}, "", id="another-scheme"),
        pytest.param("GET", "/train", {"Authorization": "{}"}, "", id="no-scheme"),
        pytest.param("GET", "/train", {"X-API-Key": "{}"}, "", id="another-header"),
        pytest.param("GET", "/avatar?key={}", {}, "", id="query-name"),
        pytest.param("GET", "/avatar?expires=1&key=x&signature={}", {}, "", id="signature"),
        pytest.param("POST", "/keys", {}, '{{"name": "a", "key": "{}"}}', id="body"),
        pytest.param("POST", "/train", {}, '{{"preset": "smoke", "{}', id="broken-body"),
    ],
)
@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_no_answer_and_no_log_repeats_a_key(
    client: TestClient,
    key: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    method,
    url,
    headers,
    content,
    right,
) -> None:
    secret = key["Authorization"].split()[1] if right else "kao_mistyped-by-a-person"
    told = {name: value.format(secret) for name, value in headers.items()}
    answer = client.request(
        method, url.format(secret), headers={**key, **told}, content=content.format(secret)
    )
    assert answer.status_code < 500
    assert secret not in answer.text
    assert secret not in str(answer.headers)
    assert secret not in client.get("/metrics").text
    assert secret not in "".join(capsys.readouterr())
