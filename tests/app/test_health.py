"""Liveness and readiness."""

from starlette.testclient import TestClient

from app.main import create_app
from models import bundle
from models.registry import Registry
from models.settings import Settings
from tests.app.conftest import Damage


def test_an_app_without_a_model_is_live_and_not_ready(settings: Settings) -> None:
    with TestClient(create_app(settings)) as client:
        assert client.get("/health/live").status_code == 200
        ready = client.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["type"] == "urn:kao:problem:not-ready"
        assert ready.headers["retry-after"] == "1"
        assert client.get("/avatar?seed=1").status_code == 503


def test_an_app_with_a_model_is_ready(client: TestClient, versions: list[str]) -> None:
    body = client.get("/health/ready").json()
    assert (body["status"], body["version"], body["problems"]) == ("ready", versions[0], [])
    assert body["ills"] == body["problems"]  # its former name, until the next release


def test_an_app_whose_models_are_all_refused_says_why(
    settings: Settings, registry: Registry, damage_bundle: Damage
) -> None:
    version = damage_bundle(registry)
    for row in registry.list_models():
        (registry.folder(row["version"]) / bundle.WEIGHTS).write_bytes(b"damaged too")
    with TestClient(create_app(settings)) as client:
        ready = client.get("/health/ready")
        assert ready.status_code == 503
        assert version[:12] in ready.json()["detail"]
        assert "damaged" in ready.json()["detail"]


def test_a_refused_default_is_a_problem_while_another_model_serves(
    settings: Settings, registry: Registry, damage_bundle: Damage
) -> None:
    version = damage_bundle(registry)
    with TestClient(create_app(settings)) as client:
        ready = client.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert version in ready.json()["refused"]
        assert ready.json()["problems"]
