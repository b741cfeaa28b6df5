"""Where pictures need a key, no shared cache may store an answer."""

import pytest
from starlette.testclient import TestClient

from app.main import create_app
from models.registry import Registry
from models.settings import Settings
from tests.support.app_client import app_of


@pytest.fixture
def answers(settings: Settings, registry: Registry, key: dict[str, str]) -> dict[str, str]:
    """The Cache-Control of every GET operation, by path, to a request with a key."""
    private = settings.model_copy(update={"public_avatars": False})
    with TestClient(create_app(private)) as client:
        paths = [path for path, item in app_of(client).openapi()["paths"].items() if "get" in item]
        return {
            path: client.get(_example(path), headers=key, follow_redirects=False).headers.get(
                "cache-control", ""
            )
            for path in paths
            if not path.endswith("/events")
        }


def _example(path: str) -> str:
    """An address of the operation that exists, where there is one."""
    if path.startswith("/models/{name}"):
        return path.replace("{name}", "default").replace("{picture}", "samples")
    if path == "/avatar/{name}":
        return "/avatar/ada.png"
    queries = {
        "/morph": "?from=a&to=b&t=0.5",
        "/family": "?parents=a,b",
        "/blend": "?seeds=a,b",
        "/mix": "?coarse=a&fine=b",
        "/sheet": "?count=2",
    }
    return path + queries.get(path, "?seed=ada" if path in ("/avatar", "/og") else "")


def test_no_answer_to_a_key_is_public(answers: dict[str, str]) -> None:
    assert len(answers) > 15
    assert [path for path, caching in answers.items() if "public" in caching] == []
    private = [path for path, caching in answers.items() if "private" in caching]
    assert {"/avatar", "/avatar/{name}", "/models/{name}/{picture}.png"} <= set(private)


def test_public_pictures_stay_public(client: TestClient) -> None:
    assert "public" in client.get("/avatar?seed=1").headers["cache-control"]
    assert "public" in client.get("/models/default/samples.png").headers["cache-control"]
