"""A model goes from one server to another as a zip, and only a good one arrives."""

import json
import zipfile
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from models import bundle, keys
from models.database.engine import connect
from models.registry import Registry
from models.settings import Settings
from tests.app.conftest import KEY

HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def other(tmp_path: Path) -> Settings:
    """Another server's settings, with the same key and a small limit."""
    return Settings(home=tmp_path / "other", api_key=KEY, max_bundle_bytes=4_000_000)


def upload(settings: Settings, content: bytes, key: str = KEY) -> httpx2.Response:
    """Answer of a server with these settings to `POST /models`."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/zip"}
    with TestClient(create_app(settings)) as client:
        return client.post("/models", content=content, headers=headers)


def repack(source: Path, target: Path, **changes: bytes | None) -> bytes:
    """A compressed zip of a bundle's files with some changed or, where None, left out."""
    contents: dict[str, bytes | None] = {path.name: path.read_bytes() for path in source.iterdir()}
    contents |= {name.replace("__", "."): content for name, content in changes.items()}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content)
    return target.read_bytes()


def test_a_downloaded_model_is_the_same_at_another_server(
    client: TestClient, versions: list[str], other: Settings
) -> None:
    answer = client.get("/models/default/bundle.zip", headers=HEADERS)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["x-avatar-model"] == versions[0]
    assert answer.headers["content-disposition"].endswith(f'"kao-{versions[0][:12]}.zip"')
    assert "immutable" not in answer.headers["cache-control"]
    pinned_answer = client.get(f"/models/{versions[0]}/bundle.zip", headers=HEADERS)
    assert pinned_answer.headers["cache-control"].startswith("private, ")
    assert pinned_answer.headers["cache-control"].endswith("immutable")
    assert pinned_answer.content == answer.content
    arrival = upload(other, answer.content)
    assert (arrival.status_code, arrival.headers["location"]) == (201, f"/models/{versions[0]}")
    assert arrival.json()["version"] == versions[0]
    assert bundle.digest(other.storage / "bundles" / versions[0]) == versions[0]
    assert upload(other, answer.content).status_code == 200
    face = f"/avatar?seed=ada&model={versions[0]}"
    with TestClient(create_app(other)) as second:
        assert second.get(face).content == client.get(face).content


def test_an_upload_promotes_nothing(
    client: TestClient, registry: Registry, bundles: list[Path], tmp_path: Path
) -> None:
    before = registry.aliases()
    content = repack(bundles[2], tmp_path / "a.zip")
    answer = client.post("/models", content=content, headers=HEADERS)
    assert (answer.status_code, answer.json()["aliases"]) == (201, [])
    assert registry.aliases() == before


def test_each_direction_needs_its_scope(
    client: TestClient, settings: Settings, versions: list[str]
) -> None:
    engine = connect(settings)
    for scope, download, arrival in (("read", 200, 403), ("models", 403, 409)):
        secret, _ = keys.create(engine, scope, [scope])
        headers = {"Authorization": f"Bearer {secret}"}
        assert client.get("/models/default/bundle.zip", headers=headers).status_code == download
        answer = client.post("/models", content=b"no zip", headers=headers)
        assert answer.status_code == arrival
    engine.dispose()
    assert client.get("/models/default/bundle.zip").status_code == 401
    assert client.post("/models", content=b"no zip").status_code == 401


def test_a_damaged_model_is_not_sent(
    client: TestClient, registry: Registry, versions: list[str]
) -> None:
    (registry.folder(versions[0]) / bundle.SAMPLES).write_bytes(b"flipped")
    answer = client.get("/models/default/bundle.zip", headers=HEADERS)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:kao:problem:bad-bundle")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"evil__sh": b"rm"}, "not a file of a bundle", id="another-file"),
        pytest.param({"samples__png": None}, "lacks files", id="a-missing-file"),
        pytest.param({"synthesis__onnx": b"\x08\x07"}, "not one graph", id="a-graph-that-is-none"),
        pytest.param({"samples__png": b"0" * 5_000_000}, "4,000,000 bytes", id="a-zip-bomb"),
    ],
)
def test_a_bad_model_is_not_registered(
    other: Settings,
    bundles: list[Path],
    tmp_path: Path,
    changes: dict[str, bytes | None],
    reason: str,
) -> None:
    answer = upload(other, repack(bundles[0], tmp_path / "a.zip", **changes))
    assert answer.status_code == 409
    assert reason.lower() in answer.json()["detail"].lower()
    with TestClient(create_app(other)) as client:
        assert client.get("/models").json()["models"] == []
    assert list((other.storage / "bundles").iterdir()) == []


def test_a_large_upload_is_refused(other: Settings) -> None:
    answer = upload(other, b"0" * 4_000_001)
    assert (answer.status_code, "KAO_MAX_BUNDLE_BYTES" in answer.json()["detail"]) == (413, True)
    assert list((other.storage / "uploads").iterdir()) == []


def test_a_card_that_no_face_could_use_is_refused(
    other: Settings, bundles: list[Path], tmp_path: Path
) -> None:
    """It passed, was promoted, and every face was a 500: its time is that of their headers."""
    card = json.loads((bundles[0] / bundle.CARD).read_text()) | {"created": "yesterday"}
    content = repack(bundles[0], tmp_path / "a.zip", card__json=json.dumps(card).encode())
    answer = upload(other, content)
    assert (answer.status_code, "`created`" in answer.json()["detail"]) == (409, True)
