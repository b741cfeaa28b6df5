"""At a start the newest model that verifies serves, and health says that it is a substitute."""

import asyncio

import pytest
from fastapi.testclient import TestClient

from app.avatars.generate import engine as engines
from app.avatars.generate.engine import Engine
from app.main import create_app
from models import bundle
from models.registry import DEFAULT, Registry
from models.settings import Settings


def _damage(registry: Registry, version: str) -> bytes:
    weights = registry.folder(version) / bundle.WEIGHTS
    data = weights.read_bytes()
    weights.write_bytes(data[:-1])
    return data


def test_a_start_with_a_damaged_default_serves_the_one_before(
    settings: Settings, registry: Registry, versions: list[str]
) -> None:
    registry.promote(versions[2])
    _damage(registry, versions[2])
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        ready = client.get("/health/ready").json()
        assert (ready["status"], ready["version"]) == ("degraded", versions[0])
        assert versions[2] in ready["refused"]
        assert client.get("/avatar?seed=1").headers["x-avatar-model"] == versions[0]


def test_the_default_serves_again_once_it_is_repaired(
    registry: Registry, versions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "RETRY", 0)
    data = _damage(registry, versions[0])

    async def follow() -> None:
        engine = Engine(registry, 1, 4, 2**30)
        await engine.refresh()
        assert engine.served[DEFAULT] in versions[1:]
        (registry.folder(versions[0]) / bundle.WEIGHTS).write_bytes(data)
        await engine.refresh()
        assert engine.served[DEFAULT] == versions[0]
        assert engine.faults() == []
        await engine.stop()

    asyncio.run(follow())
