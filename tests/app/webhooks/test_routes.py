"""Webhooks over HTTP."""

from starlette.testclient import TestClient

from models import webhooks
from models.registry import Registry


def test_a_webhook_is_made_listed_and_deleted(
    client: TestClient, key: dict[str, str], versions: list[str]
) -> None:
    body = {"url": "https://example.com/hook", "types": ["alias.moved"]}
    new_webhook = client.post("/webhooks", json=body, headers=key)
    assert new_webhook.status_code == 201
    assert new_webhook.json()["secret"].startswith("whsec_")
    (row,) = client.get("/webhooks", headers=key).json()["webhooks"]
    assert "secret" not in row
    client.post(f"/models/{versions[1]}/promote?force=true", headers=key)
    path = f"/webhooks/{row['id']}/deliveries"
    (delivery,) = client.get(path, headers=key).json()["deliveries"]
    assert delivery["body"]["data"] == {"alias": "default", "version": versions[1]}
    assert delivery["state"] == "pending"
    replay = client.post(f"{path}/{delivery['number']}/replay", headers=key)
    assert replay.status_code == 202
    assert client.post(f"{path}/999/replay", headers=key).status_code == 404
    assert client.delete(f"/webhooks/{row['id']}", headers=key).status_code == 204
    assert client.get(path, headers=key).status_code == 404


def test_a_test_event_goes_to_its_webhook_whatever_its_types(
    client: TestClient, key: dict[str, str], registry: Registry
) -> None:
    body = {"url": "https://example.com/hook", "types": ["alias.moved"]}
    first, second = (client.post("/webhooks", json=body, headers=key).json() for _ in range(2))
    path = f"/webhooks/{first['id']}"
    test_delivery = client.post(f"{path}/test", headers=key)
    assert test_delivery.status_code == 202
    assert test_delivery.json()["body"] | {"at": None} == {
        "type": "webhook.test",
        "data": {"webhook": first["id"]},
        "at": None,
    }
    claim = webhooks.claim(registry.engine)
    assert claim is not None
    assert (claim["number"], claim["secret"]) == (test_delivery.json()["number"], first["secret"])
    assert client.get(f"{path}/deliveries", headers=key).json()["deliveries"][0]["type"] == (
        "webhook.test"
    )
    other = client.get(f"/webhooks/{second['id']}/deliveries", headers=key).json()
    assert other["deliveries"] == []
    client.delete(path, headers=key)
    assert client.post(f"{path}/test", headers=key).status_code == 404
    assert client.post(f"/webhooks/{second['id']}/test").status_code == 401


def test_only_a_key_that_manages_keys_may(client: TestClient, registry: Registry) -> None:
    assert client.get("/webhooks").status_code == 401


def test_what_is_no_web_address_is_refused(client: TestClient, key: dict[str, str]) -> None:
    for url in ("file:///etc/passwd", "gopher://x/", "nonsense", ""):
        assert client.post("/webhooks", json={"url": url}, headers=key).status_code == 422


def test_a_webhook_tells_no_key_what_it_may_not_read(
    client: TestClient, key: dict[str, str]
) -> None:
    hook = client.post("/webhooks", json={"url": "https://example.com/"}, headers=key).json()
    manager = client.post("/keys", json={"name": "manager", "scopes": ["keys"]}, headers=key)
    headers = {"Authorization": f"Bearer {manager.json()['key']}"}
    for types, status in ((["run.failed"], 403), (["alias.moved", "run.queued"], 403)):
        body = {"url": "https://example.com/", "types": types}
        assert client.post("/webhooks", json=body, headers=headers).status_code == status
    body = {"url": "https://example.com/", "types": ["alias.moved"]}
    assert client.post("/webhooks", json=body, headers=headers).status_code == 201
    client.post(f"/webhooks/{hook['id']}/test", headers=key)
    deliveries = f"/webhooks/{hook['id']}/deliveries"
    (delivery,) = client.get(deliveries, headers=key).json()["deliveries"]
    replay = f"{deliveries}/{delivery['number']}/replay"
    assert client.get(deliveries, headers=headers).status_code == 403
    assert client.post(replay, headers=headers).status_code == 403
    assert client.post(replay, headers=key).status_code == 202
