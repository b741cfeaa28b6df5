"""Kao below a path of another site, by its setting or by what a trusted proxy says."""

from collections.abc import Iterator

import pytest
from pydantic import ValidationError
from starlette.routing import Route
from starlette.testclient import TestClient

from app.main import ROUTE_MODULES, create_app
from models.registry import Registry
from models.settings import RESERVED_PREFIXES, Settings

_KEY = "kao_a-key-for-the-tests"


@pytest.fixture
def below(settings: Settings, registry: Registry) -> Iterator[TestClient]:
    """An app that a proxy shows below /kao/faces."""
    settings = settings.model_copy(update={"path_prefix": "/kao/faces"})
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("keeps", [True, False], ids=["proxy-keeps", "proxy-removes"])
def test_everything_works_below_a_path(below: TestClient, key: dict[str, str], keeps: bool) -> None:
    base = "/kao/faces" if keeps else ""
    assert below.get(f"{base}/avatar/a.b.png?size=16").headers["x-avatar-seed"] == "a.b"
    for _ in range(2):
        assert below.get(f"{base}/avatar?seed=a").status_code == 200
    page = below.get(f"{base}/").text
    assert 'href="/kao/faces/assets/' in page
    assert 'src="/kao/faces/avatar?' in page
    assert 'data-root="/kao/faces"' in page
    assert 'href="/assets/' not in page
    asset = page.partition('href="/kao/faces/assets/')[2].partition('"')[0]
    assert below.get(f"{base}/assets/{asset}").status_code == 200
    random = below.get(f"{base}/avatar/random", follow_redirects=False)
    assert random.headers["location"].startswith("/kao/faces/avatar?")
    answer = below.post(f"{base}/keys", json={"name": "x", "scopes": ["read"]}, headers=key)
    assert answer.headers["location"].startswith("/kao/faces/keys/")
    picture = below.get(f"{base}/avatar")  # of a random seed
    assert picture.headers["content-location"].startswith("/kao/faces/avatar?")
    run = below.post(f"{base}/train", json={"preset": "smoke"}, headers=key).json()
    assert set(run["links"]) >= {"self", "events", "cancel"}
    assert all(link.startswith("/kao/faces/train/") for link in run["links"].values())
    assert below.get(run["links"]["self"], headers=key).json()["id"] == run["id"]
    slash = below.get(f"{base}/models/", follow_redirects=False)
    assert slash.headers["location"] == "/kao/faces/models"
    assert below.get(f"{base}/openapi.json").json()["servers"][0]["url"] == "/kao/faces"
    manifest = below.get(f"{base}/manifest.webmanifest").json()
    assert manifest["start_url"] == "/kao/faces/"


@pytest.mark.parametrize("base", ["/kao/faces", ""])
def test_a_base_address_may_end_in_a_slash(below: TestClient, base: str) -> None:
    """Clients join it and `/avatar` to two slashes."""
    for path in (f"http://testserver{base}//avatar?seed=a", f"http://testserver/{base}//og?seed=a"):
        assert below.get(path, follow_redirects=False).status_code == 200


@pytest.mark.parametrize("url", ["/kao/faces//avatar", "//kao/faces/avatar", "//avatar"])
def test_a_signed_address_with_two_slashes_opens(
    settings: Settings, registry: Registry, key: dict[str, str], url: str
) -> None:
    fields = {"path_prefix": "/kao/faces", "public_avatars": False}
    with TestClient(create_app(settings.model_copy(update=fields))) as below:
        body = {"url": f"https://example.com{url}?seed=1"}
        address = below.post("/sign", json=body, headers=key).json()["url"]
        path = address.removeprefix("https://example.com")
        assert below.get(f"http://testserver{path}").status_code == 200


@pytest.mark.parametrize("keeps", [True, False], ids=["proxy-keeps", "proxy-removes"])
def test_a_signed_address_opens_below_a_path(
    settings: Settings, registry: Registry, key: dict[str, str], keeps: bool
) -> None:
    fields = {"path_prefix": "/kao/faces", "public_avatars": False}
    with TestClient(create_app(settings.model_copy(update=fields))) as below:
        url = "https://example.com/kao/faces/avatar?seed=1"
        address = below.post("/sign", json={"url": url}, headers=key).json()["url"]
        path = address.removeprefix("https://example.com" + ("" if keeps else "/kao/faces"))
        assert below.get(path).status_code == 200
        assert below.get(path.replace("seed=1", "seed=2")).status_code == 403


def test_cookies_are_sent_below_the_path_alone(below: TestClient) -> None:
    headers = {"Origin": "http://testserver"}
    answer = below.post("/session", json={"key": _KEY}, headers=headers)
    assert "Path=/kao/faces;" in answer.headers["set-cookie"]
    assert "Path=/kao/faces;" in below.get("/?lang=zh").headers["set-cookie"]


def test_the_bare_prefix_is_the_playground(below: TestClient) -> None:
    assert "Kao" in below.get("/kao/faces").text


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        pytest.param("/~kao", "/%7Ekao", id="encoded-by-the-client"),
        pytest.param("/my 顔", "/my%20%e9%a1%94", id="utf-8"),
        pytest.param("a/b/", "/a/%62", id="other-slashes"),
    ],
)
def test_a_prefix_may_be_percent_encoded(
    settings: Settings, registry: Registry, prefix: str, path: str
) -> None:
    prefixed = Settings(path_prefix=prefix)
    settings = settings.model_copy(update={"path_prefix": prefixed.path_prefix})
    with TestClient(create_app(settings)) as client:
        # `seed` has an encoded slash, which is no segment of its own.
        answer = client.get(f"{path}/avatar/a%2Fb.png?size=16")
        assert answer.headers["x-avatar-seed"] == "a%2Fb"
        page = client.get(f"{path}/").text
        asset = page.partition('href="')[2].partition('"')[0]
        assert asset.startswith(f"{prefixed.path_prefix}/")
        assert client.get(asset).status_code == 200
        assert client.get(f"{path}x/").status_code == 404


@pytest.mark.parametrize("prefix", ["/a?b", "/a//b", "/100%", "/%61vatar", '/"', "/a#b"])
def test_a_prefix_that_is_no_path_is_refused_or_encoded(prefix: str) -> None:
    try:
        accepted = Settings(path_prefix=prefix).path_prefix
    except ValidationError:
        return
    assert not set(accepted) & set('?#"<>')


PROXY_HEADERS = {"X-Forwarded-For": "203.0.113.1", "X-Forwarded-Prefix": "/faces"}


@pytest.mark.parametrize(
    ("proxies", "headers", "root"),
    [
        pytest.param("127.0.0.1", PROXY_HEADERS, "/faces", id="trusted"),
        pytest.param(
            "127.0.0.1", {**PROXY_HEADERS, "X-Forwarded-Prefix": "/a%20b/"}, "/a%20b", id="encoded"
        ),
        pytest.param(
            "127.0.0.1", {**PROXY_HEADERS, "X-Forwarded-Prefix": "/a/, /b"}, "/a", id="two"
        ),
        pytest.param(None, PROXY_HEADERS, "", id="not-trusted"),
        pytest.param("127.0.0.1", {"X-Forwarded-Prefix": "/faces"}, "", id="no-proxy"),
        pytest.param(
            "127.0.0.1", {**PROXY_HEADERS, "X-Forwarded-Prefix": "//evil.example"}, "", id="host"
        ),
        pytest.param(
            "127.0.0.1", {**PROXY_HEADERS, "X-Forwarded-Prefix": '/"><script>'}, "", id="markup"
        ),
        pytest.param(
            "127.0.0.1", {**PROXY_HEADERS, "X-Forwarded-Prefix": "/avatar"}, "", id="route"
        ),
    ],
)
def test_a_trusted_proxy_names_the_path(
    settings: Settings,
    registry: Registry,
    proxies: str | None,
    headers: dict[str, str],
    root: str,
) -> None:
    settings = settings.model_copy(update={"trusted_proxies": proxies})
    with TestClient(create_app(settings)) as client:
        assert f'data-root="{root}"' in client.get("/", headers=headers).text


def test_a_client_cannot_hide_a_path_from_the_proxy(settings: Settings, registry: Registry) -> None:
    settings = settings.model_copy(update={"trusted_proxies": "127.0.0.1"})
    with TestClient(create_app(settings)) as client:
        assert client.get("/metrics", headers=PROXY_HEADERS).status_code == 200
        # The proxy refuses /metrics alone, and passes on what the client says of a prefix.
        assert client.get("/faces/metrics", headers=PROXY_HEADERS).status_code == 404


def test_every_own_address_is_no_prefix() -> None:
    routes = [route for module in ROUTE_MODULES for route in module.router.routes]
    paths = {"/openapi.json", *(route.path for route in routes if isinstance(route, Route))}
    assert {path.split("/")[1] for path in paths} - {""} == RESERVED_PREFIXES


def test_a_prefix_that_is_an_address_of_kao_is_refused() -> None:
    with pytest.raises(ValidationError, match="begins as one of Kao's own addresses"):
        Settings(path_prefix="/avatar/faces")


@pytest.mark.parametrize(
    ("scheme", "is_trusted", "expected"),
    [
        ("https", True, "https"),
        ("https, http", True, "https"),
        ("HTTPS,http", True, "https"),
        ("javascript", True, "http"),
        ("https, http", False, "http"),
    ],
)
def test_the_first_of_several_proxies_names_the_scheme(
    settings: Settings, registry: Registry, scheme: str, is_trusted: bool, expected: str
) -> None:
    proxies = "10.0.0.1" if is_trusted else ""
    settings = settings.model_copy(update={"trusted_proxies": proxies})
    headers = {"X-Forwarded-Proto": scheme, "X-Forwarded-For": "1.2.3.4"}
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        page = client.get("/?seed=a", headers=headers).text
    assert f'content="{expected}://testserver/og?seed=a' in page
