"""Uploads in progress are few: each takes memory, and disk that no quota counts yet."""

import pytest
from fastapi.testclient import TestClient

from app.concurrency_limits.upload_slots import UploadSlots
from models import keys
from models.errors import Overloaded
from models.registry import Registry
from tests.support.app_client import state_of


def test_a_client_has_a_few_uploads_at_once() -> None:
    slots = UploadSlots(total=3, each=2)
    with slots.take("a"), slots.take("a"):
        with pytest.raises(Overloaded, match="2 of your uploads"), slots.take("a"):
            pass
        with (
            slots.take("b"),
            pytest.raises(Overloaded, match="Too many uploads"),
            slots.take("c"),
        ):
            pass
    with slots.take("a"):
        pass


@pytest.mark.parametrize("path", ["/datasets?name=a", "/models"])
def test_an_upload_beyond_them_is_503_and_leaves_nothing(
    client: TestClient, registry: Registry, key: dict[str, str], path: str
) -> None:
    state = state_of(client)
    own = keys.find(registry.engine, key["Authorization"].split()[1])
    assert own is not None
    slots = [state.uploads.take(f"key {own.id}") for _ in range(state.uploads.each)]
    for slot in slots:
        slot.__enter__()
    answer = client.post(path, content=b"PK", headers=key)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    for slot in slots:
        slot.__exit__(None, None, None)
    assert client.post(path, content=b"PK", headers=key).status_code in (409, 422)
    assert not any((state.settings.storage / "uploads").iterdir())
