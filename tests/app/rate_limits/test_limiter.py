"""Rate limits over HTTP: who is counted for what, and what they are told."""

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from app.main import create_app
from app.rate_limits.limiter import client_address
from models.registry import Registry
from models.settings import Settings


@pytest.fixture
def limited(settings: Settings, registry: Registry):
    """Start an app with these settings; a client of `testclient`'s address."""
    clients = []

    def make(address="198.51.100.7", **changed):
        app = create_app(settings.model_copy(update=changed))
        client = TestClient(app, raise_server_exceptions=False, client=(address, 5000))
        clients.append(client.__enter__())
        return clients[-1]

    yield make
    for client in clients:
        client.__exit__(None, None, None)


def test_faces_are_counted_and_memory_is_free(limited) -> None:
    client = limited(limit_pictures="3/hour")
    told = [client.get(f"/avatar?seed={seed}") for seed in (1, 2, 3, 4)]
    assert [answer.status_code for answer in told] == [200, 200, 200, 429]
    assert told[0].headers["ratelimit-policy"] == '"pictures";q=3;w=3600'
    assert told[0].headers["ratelimit"] == '"pictures";r=2;t=1200'
    refused = told[3]
    assert 1100 <= int(refused.headers["retry-after"]) <= 1200
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["cache-control"] == "no-store"
    assert refused.json()["type"] == "urn:kao:problem:too-many-requests"
    assert "KAO_TRUSTED_PROXIES" in refused.json()["detail"]
    again = client.get("/avatar?seed=1")
    assert again.status_code == 200
    assert "ratelimit" not in again.headers
    known = {"If-None-Match": told[0].headers["etag"]}
    assert client.get("/avatar?seed=1", headers=known).status_code == 304


@pytest.mark.parametrize(
    ("url", "faces"),
    [
        ("/avatar?seed=1", 1),
        ("/avatar", 1),
        ("/avatar/1.png", 1),
        ("/og?seed=1", 1),
        ("/sheet?count=9", 9),
        ("/sheet?seeds=a,b,c", 3),
        ("/blend?seeds=a,b,c", 1),
        ("/morph?from=a&to=b&frames=5", 5),
        ("/morph?from=a&to=b&t=0.5", 1),
        ("/family?parents=a,b&children=4", 4),
        ("/family?parents=a,b&child=2", 1),
        ("/sheet?count=100&size=16", 20),  # what costs more than a quota costs all of it
    ],
)
def test_a_picture_costs_its_faces(limited, url, faces) -> None:
    answer = limited(limit_pictures="20/hour").get(url)
    assert answer.status_code == 200
    assert answer.headers["ratelimit"].startswith(f'"pictures";r={20 - faces};')


def test_a_batch_costs_its_faces(limited) -> None:
    client = limited(limit_pictures="20/hour")
    answer = client.post("/avatars", json={"seeds": ["1", "2", "3"]})
    assert answer.headers["ratelimit"].startswith('"pictures";r=17;')
    assert client.post("/avatars", json={"seeds": ["1"] * 18}).status_code == 429


def test_calls_are_counted_by_key_and_else_by_address(limited, key: dict[str, str]) -> None:
    client = limited(limit_calls="2/hour")
    made = client.post("/keys", json={"name": "ci", "scopes": ["read"]}, headers=key).json()
    other = {"Authorization": f"Bearer {made['key']}"}
    assert client.get("/train", headers=key).status_code == 200
    assert client.get("/train", headers=key).status_code == 429
    assert [client.get("/train", headers=other).status_code for _ in range(3)] == [200, 200, 429]
    wrong = {"Authorization": "Bearer kao_wrong"}
    assert [client.get("/train", headers=wrong).status_code for _ in range(3)] == [401, 401, 429]
    assert client.get("/models").status_code == 429
    assert client.get("/avatar?seed=1").status_code == 200
    assert client.get("/health/live").status_code == 200


def test_an_answer_to_a_call_says_what_is_left(limited, key: dict[str, str]) -> None:
    answer = limited(limit_calls="2/hour").get("/train", headers=key)
    assert answer.headers["ratelimit"].startswith('"calls";r=1;')


def test_private_pictures_are_counted_by_key(limited, key: dict[str, str]) -> None:
    client = limited(limit_pictures="1/hour", public_avatars=False)
    assert client.get("/avatar?seed=1", headers=key).status_code == 200
    made = client.post("/keys", json={"name": "web", "scopes": ["avatars"]}, headers=key).json()
    other = {"Authorization": f"Bearer {made['key']}"}
    assert client.get("/avatar?seed=2", headers=other).status_code == 200
    assert client.get("/avatar?seed=3", headers=other).status_code == 429


def test_a_redis_that_is_away_fails_no_request_and_lifts_no_limit(limited) -> None:
    client = limited(limit_pictures="3/hour", redis_url="redis://127.0.0.1:1/0")
    told = [client.get(f"/avatar?seed={seed}").status_code for seed in range(5)]
    assert told == [200, 200, 200, 429, 429]


def test_none_is_no_limit(limited, key: dict[str, str]) -> None:
    client = limited(limit_pictures="none", limit_calls="none")
    for url in ("/avatar?seed=1", "/train"):
        assert "ratelimit" not in client.get(url, headers=key).headers


def test_this_machine_is_not_counted(limited) -> None:
    client = limited("127.0.0.1", limit_pictures="1/hour")
    for seed in range(3):
        assert client.get(f"/avatar?seed={seed}").status_code == 200


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("127.0.0.1", None),
        ("::1", None),
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("x:y", "x:y"),
    ],
)
def test_whom_an_address_stands_for(host, counted) -> None:
    assert client_address(Request({"type": "http", "client": (host, 1)})) == counted
    assert client_address(Request({"type": "http", "client": None})) is None


@pytest.mark.parametrize(
    ("trusted", "status"),
    [
        pytest.param(None, 200, id="nobody: the header is not believed"),
        pytest.param("127.0.0.1", 429, id="this-machine"),
        pytest.param("10.0.0.0/8, 127.0.0.0/8", 429, id="networks"),
        pytest.param("10.0.0.0/8", 200, id="another"),
    ],
)
def test_an_address_is_believed_from_a_named_proxy_alone(
    settings: Settings,
    start,
    registry: Registry,
    http,
    trusted,
    status,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed = {"limit_pictures": "1/hour", "trusted_proxies": trusted}
    told = {"X-Forwarded-For": "198.51.100.7"}
    live = start(**changed)
    assert http.get(f"{live.url}/avatar?seed=1", headers=told).status_code == 200
    assert http.get(f"{live.url}/avatar?seed=2", headers=told).status_code == status


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit_pictures": "many"},
        {"limit_pictures": "0/minute"},
        {"limit_calls": "5/fortnight"},
        {"trusted_proxies": "*"},
        {"trusted_proxies": "proxy.example"},
    ],
    ids=str,
)
def test_a_wrong_limit_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Settings(**wrong)


def test_only_pictures_may_be_read_from_other_sites(
    client: TestClient, key: dict[str, str]
) -> None:
    origin = {"Origin": "https://elsewhere.example"}
    for url in ("/avatar?seed=1", "/sheet?count=2"):
        assert client.get(url, headers=origin).headers["access-control-allow-origin"] == "*"
    for url in ("/models", "/train", "/datasets", "/keys", "/openapi.json", "/health/ready"):
        answer = client.get(url, headers={**origin, **key})
        assert answer.status_code == 200
        assert "access-control-allow-origin" not in answer.headers
    asked = {"Access-Control-Request-Method": "POST", **origin}
    preflight = client.options("/train", headers=asked)
    assert "access-control-allow-origin" not in preflight.headers
