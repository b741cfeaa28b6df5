"""Quotas per key and in total, and a reserve on the disk."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from models.database.engine import connect
from models.datasets import archive, catalogue
from models.errors import TooLarge
from models.registry import Registry
from models.settings import Settings
from tests.support.hostile_zips import GOOD, picture, zipped


def _where(name: str) -> str:
    return f"/datasets?name={name}&licence=none"


StartApp = Callable[..., TestClient]
A = zipped(GOOD, ("second.png", picture(size=(17, 17))))
B = zipped(("other.png", picture(size=(32, 32))), ("fourth.png", picture(size=(33, 33))))


@pytest.fixture
def start_app(settings: Settings, registry: Registry) -> Iterator[StartApp]:
    """Start an app with these settings."""
    with ExitStack() as stack:

        def start(**changes: Any) -> TestClient:
            app = create_app(settings.model_copy(update=changes))
            return stack.enter_context(TestClient(app))

        yield start


def _uploads(settings: Settings) -> list[Path]:
    return list((settings.storage / "uploads").glob("*"))


@pytest.mark.parametrize("is_streamed", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("max_upload_bytes", "KAO_MAX_UPLOAD_BYTES"),
        ("max_key_bytes", "KAO_MAX_KEY_BYTES"),
        ("max_datasets_bytes", "KAO_MAX_DATASETS_BYTES"),
    ],
)
def test_a_quota_is_kept_to_the_byte(
    start_app: StartApp,
    settings: Settings,
    key: dict[str, str],
    setting: str,
    name: str,
    is_streamed: bool,
) -> None:
    def content() -> bytes | Iterator[bytes]:
        return iter([A[:50], A[50:]]) if is_streamed else A

    client = start_app(**{setting: len(A)})
    assert client.post(_where("a"), content=content(), headers=key).status_code == 201
    client = start_app(**{setting: len(A) - 1})
    client.delete("/datasets/a", headers=key)
    answer = client.post(_where("a"), content=content(), headers=key)
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:kao:problem:too-large"
    assert name in answer.json()["detail"]
    assert _uploads(settings) == []


def test_each_key_has_a_quota_and_all_share_the_store(
    start_app: StartApp, key: dict[str, str]
) -> None:
    client = start_app(max_key_bytes=len(B), max_datasets_bytes=len(A) + len(B))
    new_key = client.post("/keys", json={"name": "b", "scopes": ["datasets"]}, headers=key).json()
    other = {"Authorization": f"Bearer {new_key['key']}"}
    assert client.post(_where("a"), content=A, headers=key).status_code == 201
    refusal = client.post(_where("b"), content=B, headers=key)
    assert (refusal.status_code, "KAO_MAX_KEY_BYTES" in refusal.text) == (413, True)
    assert client.post(_where("b"), content=B, headers=other).status_code == 201
    refusal = client.post(_where("c"), content=A, headers=other)
    assert (refusal.status_code, "KAO_MAX_DATASETS_BYTES" in refusal.text) == (413, True)
    assert client.delete("/datasets/a", headers=other).status_code == 204
    assert client.post(_where("a"), content=A, headers=key).status_code == 201


def test_two_concurrent_uploads_cannot_both_use_the_last_room(
    settings: Settings, registry: Registry, tmp_path: Path
) -> None:
    """Both passed the first check; the second is refused when its row would be written."""
    full = settings.model_copy(update={"max_datasets_bytes": len(A) + 10})
    engine = connect(full)
    for name, content in (("a", A), ("b", B)):
        path = tmp_path / f"{name}.zip"
        path.write_bytes(content)
        add = partial(
            catalogue.add, engine, full, path, name=name, licence="x", report=archive.check(path)
        )
        if name == "b":
            with pytest.raises(TooLarge):
                add()
            assert path.exists()
        else:
            add()
    assert [row["name"] for row in catalogue.list_datasets(engine)] == ["a"]
    engine.dispose()


@pytest.mark.parametrize("is_streamed", [False, True], ids=["length", "chunked"])
def test_the_reserve_of_the_disk_is_kept(
    start_app: StartApp, settings: Settings, key: dict[str, str], is_streamed: bool
) -> None:
    client = start_app(min_free_bytes=1 << 60)
    content = iter([A]) if is_streamed else A
    answer = client.post(_where("a"), content=content, headers=key)
    assert answer.status_code == 507
    assert answer.json()["type"] == "urn:kao:problem:disk-full"
    assert "KAO_MIN_FREE_BYTES" in answer.json()["detail"]
    assert _uploads(settings) == []
