"""There is room for so much of one key, so much in all, and never for the last of the disk."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from models.database.engine import connect
from models.datasets import archive, catalogue
from models.errors import TooLarge
from models.registry import Registry
from models.settings import Settings
from tests.support.hostile_zips import GOOD, picture, zipped


def _where(name) -> str:
    return f"/datasets?name={name}&licence=none"


A, B = zipped(GOOD), zipped(("other.png", picture(size=(32, 32))))


@pytest.fixture
def limited(settings: Settings, registry: Registry):
    """Start an app with these settings."""
    clients = []

    def make(**changed):
        clients.append(TestClient(create_app(settings.model_copy(update=changed))))
        return clients[-1].__enter__()

    yield make
    for client in clients:
        client.__exit__(None, None, None)


def _uploads(settings):
    return list((settings.storage / "uploads").glob("*"))


@pytest.mark.parametrize("streamed", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("max_upload_bytes", "KAO_MAX_UPLOAD_BYTES"),
        ("max_key_bytes", "KAO_MAX_KEY_BYTES"),
        ("max_datasets_bytes", "KAO_MAX_DATASETS_BYTES"),
    ],
)
def test_a_quota_is_kept_to_the_byte(
    limited, settings: Settings, key: dict[str, str], setting, name, streamed
) -> None:
    def content():
        return iter([A[:50], A[50:]]) if streamed else A

    client = limited(**{setting: len(A)})
    assert client.post(_where("a"), content=content(), headers=key).status_code == 201
    client = limited(**{setting: len(A) - 1})
    client.delete("/datasets/a", headers=key)
    answer = client.post(_where("a"), content=content(), headers=key)
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:kao:problem:too-large"
    assert name in answer.json()["detail"]
    assert _uploads(settings) == []


def test_one_key_does_not_pay_for_another_but_all_share_the_store(
    limited, key: dict[str, str]
) -> None:
    client = limited(max_key_bytes=len(B), max_datasets_bytes=len(A) + len(B))
    made = client.post("/keys", json={"name": "b", "scopes": ["datasets"]}, headers=key).json()
    other = {"Authorization": f"Bearer {made['key']}"}
    assert client.post(_where("a"), content=A, headers=key).status_code == 201
    refused = client.post(_where("b"), content=B, headers=key)
    assert (refused.status_code, "KAO_MAX_KEY_BYTES" in refused.text) == (413, True)
    assert client.post(_where("b"), content=B, headers=other).status_code == 201
    refused = client.post(_where("c"), content=A, headers=other)
    assert (refused.status_code, "KAO_MAX_DATASETS_BYTES" in refused.text) == (413, True)
    assert client.delete("/datasets/a", headers=other).status_code == 204
    assert client.post(_where("a"), content=A, headers=key).status_code == 201


def test_two_uploads_at_once_do_not_share_one_room(
    settings: Settings, registry: Registry, tmp_path: Path
) -> None:
    """Both passed the first look; the second is refused when its row would be written."""
    full = settings.model_copy(update={"max_datasets_bytes": len(A) + 10})
    engine = connect(full)
    for name, content in (("a", A), ("b", B)):
        path = tmp_path / f"{name}.zip"
        path.write_bytes(content)
        named = {"name": name, "licence": "x", "report": archive.check(path)}
        if name == "b":
            with pytest.raises(TooLarge):
                catalogue.add(engine, full, path, **named)
            assert path.exists()
        else:
            catalogue.add(engine, full, path, **named)
    assert [row["name"] for row in catalogue.list_datasets(engine)] == ["a"]
    engine.dispose()


@pytest.mark.parametrize("streamed", [False, True], ids=["length", "chunked"])
def test_the_last_of_the_disk_is_left_alone(
    limited, settings: Settings, key: dict[str, str], streamed
) -> None:
    client = limited(min_free_bytes=1 << 60)
    content = iter([A]) if streamed else A
    answer = client.post(_where("a"), content=content, headers=key)
    assert answer.status_code == 507
    assert answer.json()["type"] == "urn:kao:problem:disk-full"
    assert "KAO_MIN_FREE_BYTES" in answer.json()["detail"]
    assert _uploads(settings) == []
