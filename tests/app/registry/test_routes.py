"""Models over HTTP: listed, promoted, rolled back."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from sqlalchemy import event

from models.bundle import verify
from models.bundle.generator import Drawer
from models.registry import Registry


def test_models_are_listed_with_their_aliases(client: TestClient, versions: list[str]) -> None:
    rows = client.get("/models").json()["models"]
    assert {row["version"] for row in rows} == set(versions)
    aliases = {row["version"]: row["aliases"] for row in rows}
    assert aliases[versions[0]] == ["default", "latest"]
    assert all(row["bytes"] > 1000 for row in rows)


def test_a_list_of_models_reads_no_cards(client: TestClient, versions: list[str]) -> None:
    """With 500 models they were 4 MB of JSON, parsed for every request."""
    statements: list[str] = []

    def record(_: object, __: object, statement: str, *___: object) -> None:
        statements.append(statement)

    event.listen(sa.Engine, "before_cursor_execute", record)
    try:
        assert len(client.get("/models").json()["models"]) == len(versions)
    finally:
        event.remove(sa.Engine, "before_cursor_execute", record)
    assert any("models.published" in statement for statement in statements)
    assert not any("models.card" in statement for statement in statements)


def test_a_card_is_found_by_every_name(client: TestClient, versions: list[str]) -> None:
    for name in ("default", versions[0], versions[0][:12]):
        model = client.get(f"/models/{name}").json()
        assert model["version"] == versions[0]
        assert model["card"]["recipe"]["preset"] == "smoke"


def test_promote_and_roll_back_and_the_old_bytes_stay(
    client: TestClient, versions: list[str], key: dict[str, str]
) -> None:
    old = client.get("/avatar?seed=42").content
    promotion = client.post(f"/models/{versions[1]}/promote", headers=key)
    assert promotion.json() == {"alias": "default", "version": versions[1]}
    assert client.get("/avatar?seed=42").content != old
    assert client.get(f"/avatar?seed=42&model={versions[0]}").content == old
    back = client.post("/models/rollback", headers=key)
    assert back.json() == {"alias": "default", "version": versions[0]}
    assert client.get("/avatar?seed=42").content == old
    assert client.post("/models/rollback", headers=key).status_code == 404


def test_a_damaged_model_is_not_promoted(
    client: TestClient, registry: Registry, versions: list[str], key: dict[str, str]
) -> None:
    (registry.folder(versions[2]) / "generator.safetensors").write_bytes(b"rubbish")
    answer = client.post(f"/models/{versions[2]}/promote", headers=key)
    assert answer.status_code == 409
    assert "damaged" in answer.json()["detail"]
    assert client.get("/avatar?seed=1").headers["x-avatar-model"] == versions[0]


def test_a_promotion_verifies_the_model_once(
    client: TestClient, versions: list[str], key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    verifications: list[str] = []
    original = verify.verify

    def count(folder: Path, version: str, threads: int = 1) -> Drawer:
        verifications.append(version)
        return original(folder, version, threads)

    monkeypatch.setattr(verify, "verify", count)
    for version in (versions[1], versions[1]):
        verifications.clear()
        assert client.post(f"/models/{version}/promote", headers=key).status_code == 200
        assert verifications == [version], "a loaded model's files are verified again"


def test_a_repaired_model_is_promoted_and_serves_at_once(
    client: TestClient, registry: Registry, versions: list[str], key: dict[str, str]
) -> None:
    weights = registry.folder(versions[1]) / "generator.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(b"rubbish")
    assert client.post(f"/models/{versions[1]}/promote", headers=key).status_code == 409
    weights.write_bytes(data)
    assert client.post(f"/models/{versions[1]}/promote", headers=key).status_code == 200
    assert client.get("/avatar?seed=1").headers["x-avatar-model"] == versions[1]


def test_a_model_takes_a_name_and_keeps_its_faces(
    client: TestClient, versions: list[str], key: dict[str, str]
) -> None:
    face = client.get("/avatar?seed=42").content
    answer = client.patch(f"/models/{versions[0][:12]}", json={"name": "Anime"}, headers=key)
    assert (answer.status_code, answer.json()["name"]) == (200, "Anime")
    assert client.get("/models/default").json()["name"] == "Anime"
    assert "note" not in answer.json()  # everybody sees models; notes are the studio's
    assert client.get("/avatar?seed=42").content == face
    assert client.patch(f"/models/{versions[0]}", json={"name": "x"}).status_code == 401
