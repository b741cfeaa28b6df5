"""The scope of every route, walked from the OpenAPI document."""

import threading
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Never

import httpx2 as httpx
import pytest
import sqlalchemy as sa
import structlog
from starlette.requests import Request
from starlette.testclient import TestClient

from app import uploads
from app.avatars import service
from app.avatars.bulk import response
from app.avatars.generate.engine import Engine
from app.avatars.request.picture_request import PictureRequest
from app.main import create_app
from models import keys
from models.database import tables
from models.datasets.quotas import Room
from models.errors import NotReady
from models.settings import Settings
from tests.app.auth.conftest import MakeKey
from tests.support.app_client import app_of, state_of

DEFAULT_THREADS = 40  # anyio's limit of the threads that routes share
METHODS = ("get", "post", "put", "patch", "delete")
Operation = tuple[str, str, str | None]  # method, path, scope; scope None: open to all
# Open, because they change nothing that lasts: a batch of faces, a login, and a signature, which is
# refused where pictures are public.
OPEN = {("POST", "/avatars"), ("POST", "/sign"), ("POST", "/session"), ("DELETE", "/session")}


@pytest.fixture
def operations(client: TestClient) -> list[Operation]:
    """Every operation of the app."""
    operations: list[Operation] = []
    for path, methods in app_of(client).openapi()["paths"].items():
        for method in methods.keys() & set(METHODS):
            security = methods[method].get("security", [{}])
            scope = None if {} in security else security[0]["key"][0]
            operations.append((method.upper(), path, scope))
    return operations


def _bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_every_changing_route_needs_a_scope(operations: list[Operation]) -> None:
    open_operations = {row[:2] for row in operations if row[0] != "GET" and row[2] is None}
    assert open_operations <= OPEN
    assert {row[2] for row in operations} >= set(keys.SCOPES) - {"avatars"}


def test_every_route_of_training_datasets_and_keys_needs_a_scope(
    operations: list[Operation],
) -> None:
    rooms = ("/train", "/datasets", "/keys")
    assert [row for row in operations if row[1].startswith(rooms) and row[2] is None] == []


def _request(client: TestClient, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
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
def test_without_a_key_every_scoped_route_answers_401(
    client: TestClient, operations: list[Operation], headers: dict[str, str]
) -> None:
    for method, path, scope in operations:
        if scope is not None:
            answer = _request(client, method, path, headers)
            assert (path, answer.status_code) == (path, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert "api-key" in answer.json()["detail"]


def test_every_other_scope_together_is_not_enough(
    client: TestClient, operations: list[Operation], make_key: MakeKey
) -> None:
    for missing in keys.SCOPES:
        secret, _ = make_key(*(keys.SCOPES.keys() - {missing}))
        headers = _bearer(secret)
        for method, path, scope in operations:
            if scope == missing:
                answer = _request(client, method, path, headers)
                assert (path, answer.status_code) == (path, 403)
                assert answer.json()["type"] == "urn:kao:problem:forbidden"
                assert repr(missing) in answer.json()["detail"]
                assert f'scope="{missing}"' in answer.headers["www-authenticate"]


def test_a_read_key_cannot_train_and_a_train_key_can(client: TestClient, make_key: MakeKey) -> None:
    reader, trainer = (_bearer(make_key(scope)[0]) for scope in ("read", "train"))
    assert client.get("/train", headers=reader).status_code == 200
    assert client.post("/train", json={"preset": "smoke"}, headers=reader).status_code == 403
    assert client.post("/train", json={"preset": "smoke"}, headers=trainer).status_code == 202


def test_a_revoked_key_fails_at_once_on_every_replica(
    client: TestClient, settings: Settings, database: sa.Engine, make_key: MakeKey
) -> None:
    secret, row = make_key("read")
    headers = _bearer(secret)
    with TestClient(create_app(settings)) as replica:
        assert client.get("/train", headers=headers).status_code == 200
        assert replica.get("/train", headers=headers).status_code == 200
        keys.revoke(database, row.id)
        assert client.get("/train", headers=headers).status_code == 401
        assert replica.get("/train", headers=headers).status_code == 401


def test_a_revoked_key_ends_its_batch(
    private: TestClient, database: sa.Engine, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response, "KEY_INTERVAL", 0)
    secret, key = make_key("avatars")
    render, faces = service.render, list[PictureRequest]()

    async def render_and_revoke(
        engine: Engine, version: str, face: PictureRequest, client: Hashable
    ) -> bytes:
        faces.append(face)
        if len(faces) == 3:
            keys.revoke(database, key.id)
        return await render(engine, version, face, client)

    monkeypatch.setattr(service, "render", render_and_revoke)
    body = {"seeds": [*"abcdefgh"], "size": 16}
    answer = private.post("/avatars", json=body, headers=_bearer(secret))
    assert len(faces) == 3
    assert b"index.json" not in answer.content, "a whole zip"


def test_an_upload_of_a_key_that_was_revoked_meanwhile_is_not_kept(
    private: TestClient, database: sa.Engine, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, key = make_key("models")
    write = uploads._write

    async def write_and_revoke(
        request: Request, settings: Settings, room: Room, path: Path
    ) -> None:
        await write(request, settings, room, path)
        keys.revoke(database, key.id)

    monkeypatch.setattr(uploads, "_write", write_and_revoke)
    answer = private.post("/models", content=b"a zip", headers=_bearer(secret))
    assert answer.status_code == 401
    assert "revoked" in answer.json()["detail"]


def test_a_face_with_a_key_waits_for_no_thread_of_other_routes(
    private: TestClient, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of those may wait for a locked database, or for a bucket that does not answer."""
    assert private.get("/avatar?seed=1", headers=key).status_code == 200
    entered, release = threading.Semaphore(0), threading.Event()

    def hang() -> Never:
        entered.release()
        release.wait()
        raise NotReady("released")

    monkeypatch.setattr(state_of(private).registry, "list_models", hang)
    with ThreadPoolExecutor(DEFAULT_THREADS + 2) as pool:
        answers = [
            pool.submit(private.get, "/models", headers=key) for _ in range(DEFAULT_THREADS + 1)
        ]
        for _ in range(DEFAULT_THREADS):
            assert entered.acquire(timeout=30)
        face = pool.submit(private.get, "/avatar?seed=2", headers=key)
        try:
            assert face.result(20).status_code == 200
        finally:
            release.set()
        assert {answer.result().status_code for answer in answers} == {503}


def test_a_server_without_an_active_key_serves_faces_and_refuses_changes(
    settings: Settings, client: TestClient, database: sa.Engine
) -> None:
    with database.begin() as db:
        db.execute(sa.update(tables.keys).values(revoked="2026-01-01"))
    settings = settings.model_copy(update={"host": "0.0.0.0"})
    with structlog.testing.capture_logs() as lines, TestClient(create_app(settings)) as server:
        assert server.get("/avatar?seed=1").status_code == 200
        assert server.post("/train", json={"preset": "smoke"}).status_code == 401
    (line,) = (line for line in lines if line["event"] == "keys.none_active")
    assert "kao keys create" in line["remedy"]


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
@pytest.mark.parametrize("is_valid", [True, False], ids=["right", "wrong"])
def test_no_answer_and_no_log_repeats_a_key(
    client: TestClient,
    key: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    method: str,
    url: str,
    headers: dict[str, str],
    content: str,
    is_valid: bool,
) -> None:
    secret = key["Authorization"].split()[1] if is_valid else "kao_mistyped-by-a-person"
    filled_headers = {name: value.format(secret) for name, value in headers.items()}
    answer = client.request(
        method,
        url.format(secret),
        headers={**key, **filled_headers},
        content=content.format(secret),
    )
    assert answer.status_code < 500
    assert secret not in answer.text
    assert secret not in str(answer.headers)
    assert secret not in client.get("/metrics").text
    assert secret not in "".join(capsys.readouterr())
