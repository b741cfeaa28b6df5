"""Rate limits over HTTP: what is charged to whom, and what the answers say."""

from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from app.avatars.request.costs import LOADING_UNITS
from app.rate_limits.limiter import client_address
from models.registry import Registry
from models.settings import Settings
from tests.app.conftest import Start
from tests.app.rate_limits.conftest import StartLimited


def test_faces_are_charged_and_a_picture_from_memory_costs_one(start_limited: StartLimited) -> None:
    client = start_limited(limit_pictures="3/hour")
    answers = [client.get(f"/avatar?seed={seed}") for seed in (1, 2, 3, 4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"pictures";q=3;w=3600'
    assert answers[0].headers["ratelimit"] == '"pictures";r=2;t=1200'
    refusal = answers[3]
    assert 1100 <= int(refusal.headers["retry-after"]) <= 1200
    assert refusal.headers["content-type"] == "application/problem+json"
    assert refusal.headers["cache-control"] == "no-store"
    assert refusal.json()["type"] == "urn:kao:problem:too-many-requests"
    assert "KAO_TRUSTED_PROXIES" in refusal.json()["detail"]
    assert client.get("/avatar?seed=1").status_code == 429


@pytest.mark.parametrize(
    ("url", "faces"),
    [
        ("/avatar?seed=1", 1),
        ("/avatar", 1),
        ("/avatar/1.png", 1),
        ("/og?seed=1", 2),
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
def test_a_picture_costs_its_time_and_at_least_its_faces(
    start_limited: StartLimited, url: str, faces: int
) -> None:
    answer = start_limited(limit_pictures="20/hour").get(url)
    assert answer.status_code == 200
    assert answer.headers["ratelimit"].startswith(f'"pictures";r={20 - faces};')


def test_a_model_that_has_to_be_loaded_is_charged_once(
    start_limited: StartLimited, registry: Registry
) -> None:
    """Loading reads, hashes and tests a whole bundle, which takes as long as many faces."""
    client = start_limited(limit_pictures="60/hour")
    served_versions = registry.aliases().values()
    (version,) = (
        row["version"] for row in registry.list_models() if row["version"] not in served_versions
    )
    for units in (LOADING_UNITS + 1, LOADING_UNITS + 2):
        answer = client.get(f"/avatar?seed={units}&model={version}")
        assert answer.headers["ratelimit"].startswith(f'"pictures";r={60 - units};')


def test_a_blank_image_is_charged_as_a_face_of_its_size(start_limited: StartLimited) -> None:
    client = start_limited(limit_pictures="60/hour")
    address = f"/avatar/{'0' * 32}?d=blank&f=y&s=1024&format=avif"
    assert client.get(address).headers["ratelimit"].startswith('"pictures";r=46;')


def test_a_batch_costs_its_faces(start_limited: StartLimited) -> None:
    client = start_limited(limit_pictures="20/hour")
    answer = client.post("/avatars", json={"seeds": ["1", "2", "3"]})
    assert answer.headers["ratelimit"].startswith('"pictures";r=17;')
    assert client.post("/avatars", json={"seeds": ["1"] * 18}).status_code == 429


def test_calls_are_charged_to_the_key_and_else_to_the_address(
    start_limited: StartLimited, key: dict[str, str]
) -> None:
    client = start_limited(limit_calls="2/hour")
    new_key = client.post("/keys", json={"name": "ci", "scopes": ["read"]}, headers=key).json()
    other = {"Authorization": f"Bearer {new_key['key']}"}
    assert client.get("/train", headers=key).status_code == 200
    assert client.get("/train", headers=key).status_code == 429
    assert [client.get("/train", headers=other).status_code for _ in range(3)] == [200, 200, 429]
    wrong = {"Authorization": "Bearer kao_wrong"}
    assert [client.get("/train", headers=wrong).status_code for _ in range(3)] == [401, 401, 429]
    assert client.get("/models").status_code == 429
    assert client.get("/health/live").status_code == 200


def test_an_answer_says_how_many_calls_are_left(
    start_limited: StartLimited, key: dict[str, str]
) -> None:
    answer = start_limited(limit_calls="2/hour").get("/train", headers=key)
    assert answer.headers["ratelimit"].startswith('"calls";r=1;')


def test_private_pictures_are_charged_to_the_key(
    start_limited: StartLimited, key: dict[str, str]
) -> None:
    client = start_limited(limit_pictures="1/hour", public_avatars=False)
    assert client.get("/avatar?seed=1", headers=key).status_code == 200
    new_key = client.post("/keys", json={"name": "web", "scopes": ["avatars"]}, headers=key).json()
    other = {"Authorization": f"Bearer {new_key['key']}"}
    assert client.get("/avatar?seed=2", headers=other).status_code == 200
    assert client.get("/avatar?seed=3", headers=other).status_code == 429


def test_a_redis_that_is_away_fails_no_request_and_lifts_no_limit(
    start_limited: StartLimited,
) -> None:
    client = start_limited(limit_pictures="3/hour", redis_url="redis://127.0.0.1:1/0")
    statuses = [client.get(f"/avatar?seed={seed}").status_code for seed in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


def test_none_is_no_limit(start_limited: StartLimited, key: dict[str, str]) -> None:
    client = start_limited(limit_pictures="none", limit_calls="none")
    for url in ("/avatar?seed=1", "/train"):
        assert "ratelimit" not in client.get(url, headers=key).headers


def test_this_machine_is_not_charged(start_limited: StartLimited) -> None:
    client = start_limited("127.0.0.1", limit_pictures="1/hour")
    for seed in range(3):
        assert client.get(f"/avatar?seed={seed}").status_code == 200


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", None),
        ("::1", None),
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),  # IPv4 as a dual-stack proxy forwards it
        ("64:ff9b::203.0.113.9", "203.0.113.9"),  # NAT64
        ("64:ff9b:1:fffe::203.0.113.9", "203.0.113.9"),  # the same with a network's own prefix
        ("::ffff:0:203.0.113.9", "203.0.113.9"),  # SIIT
        ("::203.0.113.9", "203.0.113.9"),  # IPv4-compatible
        ("2002:cb00:7109:1::1", "203.0.113.9"),  # 6to4
        ("2001:0:c000:201::34ff:8ef6", "203.0.113.9"),  # Teredo
        ("2002:7f00:1::1", "2002:7f00:1::/64"),  # no client has it
        ("::ffff:127.0.0.1", None),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("x:y", "x:y"),
    ],
)
def test_the_address_that_is_charged(host: str, address: str | None) -> None:
    assert client_address(Request({"type": "http", "client": (host, 1)})) == address
    assert client_address(Request({"type": "http", "client": None})) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_client_cannot_claim_to_be_this_machine(host: str) -> None:
    """Behind a trusted proxy, X-Forwarded-For may contain what the client sent."""
    headers = [(b"x-forwarded-for", host.encode())]
    scope = {"type": "http", "client": (host, 1), "headers": headers}
    assert client_address(Request(scope), trusts_proxies=True) == host
    assert client_address(Request({**scope, "headers": []}), trusts_proxies=True) is None


@pytest.mark.parametrize(
    ("trusted", "status"),
    [
        pytest.param(None, 200, id="none: the header is ignored"),
        pytest.param("127.0.0.1", 429, id="this-machine"),
        pytest.param("10.0.0.0/8, 127.0.0.0/8", 429, id="networks"),
        # Where proxies are trusted, a forwarded request is charged in any case.
        pytest.param("10.0.0.0/8", 429, id="another"),
    ],
)
def test_a_forwarded_address_counts_only_from_a_trusted_proxy(
    settings: Settings,
    start: Start,
    registry: Registry,
    http: httpx.Client,
    trusted: str | None,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = {"limit_pictures": "1/hour", "trusted_proxies": trusted}
    headers = {"X-Forwarded-For": "198.51.100.7"}
    live = start(**changes)
    assert http.get(f"{live.url}/avatar?seed=1", headers=headers).status_code == 200
    assert http.get(f"{live.url}/avatar?seed=2", headers=headers).status_code == status


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
def test_an_invalid_limit_is_refused(wrong: dict[str, Any]) -> None:
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
    preflight_headers = {"Access-Control-Request-Method": "POST", **origin}
    preflight = client.options("/train", headers=preflight_headers)
    assert "access-control-allow-origin" not in preflight.headers
