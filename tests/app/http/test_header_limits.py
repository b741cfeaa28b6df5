"""What a client writes into its headers and its query costs the event loop next to nothing."""

import http.cookies
from itertools import product
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from app.avatars.request import value_types
from app.http import accept, header_limits
from app.http.header_limits import HeaderLimits

LONG = 31_000  # bytes; a header has at most 32 KiB
ADDRESSES = ["/models", "/avatar?seed=1", "/presets", "/", "/nothing", "/session", "/train"]


def _headers(*headers: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """The headers that an app behind the middleware gets."""
    scopes: list[Scope] = []

    async def app(scope: Scope, _: Receive, __: Send) -> None:
        scopes.append(scope)

    async def receive() -> Message:
        raise AssertionError

    async def send(_: Message) -> None:
        raise AssertionError

    scope: Scope = {"type": "http", "query_string": b"", "headers": list(headers)}
    call = HeaderLimits(app)(scope, receive, send)
    with pytest.raises(StopIteration):
        call.send(None)  # awaits nothing
    headers_of_app: list[tuple[bytes, bytes]] = scopes[0]["headers"]
    return headers_of_app


def test_no_cookie_of_a_client_is_unquoted(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11.7 takes 9 s for one of 31 kB (CVE-2024-7592), and FastAPI parses them all."""
    values: list[str] = []
    unquote = http.cookies._unquote

    def record(value: str) -> Any:
        values.append(value)
        return unquote(value[:100])

    monkeypatch.setattr(http.cookies, "_unquote", record)
    for address, name in product(ADDRESSES, ("a", "kao_session", "kao_lang")):
        cookie = f'{name}="' + "\\" * LONG + '"'
        client.get(address, headers={"Cookie": cookie, "Accept-Language": "zh"})
    assert all(len(value) < 100 for value in values)


def test_no_long_list_is_parsed(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    parse = accept.parse_qualities

    def record(header: str) -> list[tuple[str, float]]:
        lengths.append(len(header))
        return parse(header)

    for module in ("app.http.content_encoding", "app.studio.translations", "app.avatars.formats"):
        monkeypatch.setattr(f"{module}.parse_qualities", record, raising=False)
    for address, name in product(ADDRESSES, ("Accept", "Accept-Language", "Accept-Encoding")):
        assert client.get(address, headers={name: "," * LONG}).status_code < 500
    assert lengths
    assert all(length <= header_limits.LONGEST_LIST for length in lengths)


def test_of_two_cookies_of_one_name_the_first_counts() -> None:
    """Browsers send the one with the longer path first, as of another Kao at the root."""
    (header,) = _headers((b"cookie", b"kao_session=below; kao_lang=zh; kao_session=root"))
    assert header == (b"cookie", b"kao_session=below; kao_lang=zh")


def test_own_cookies_and_short_lists_stay() -> None:
    headers = [
        (b"accept", b"image/avif,image/webp,*/*"),
        (b"cookie", b"_ga=1; kao_lang=zh;kao_session=a.1.b"),
        (b"cookie", b'other="\\\\"; kao_theme=dark'),
        (b"if-none-match", b"a," * LONG),
        (b"x-other", b"x" * LONG),
    ]
    assert _headers(*headers) == [
        headers[4],
        headers[0],
        (b"cookie", b"kao_lang=zh; kao_session=a.1.b; kao_theme=dark"),
    ]
    assert _headers((b"cookie", b"a=1"), (b"host", b"a")) == [(b"host", b"a")]
    assert _headers((b"cookie", b"kao_a=1;" * LONG)) == [(b"cookie", b"kao_a=1")]
    many = b";".join(b"kao_%d=1" % number for number in range(LONG))
    assert _headers((b"cookie", many))[0][1].count(b"kao_") == 16


@pytest.mark.parametrize("address", ["/avatar", f"/avatar/{'0' * 32}", "/"])
@pytest.mark.parametrize("part", ["_", ""])
def test_a_query_with_hundreds_of_parameters_is_refused(
    client: TestClient, address: str, part: str
) -> None:
    few = "&".join([part] * header_limits.MOST_PARAMETERS)
    assert client.get(f"{address}?{few}").status_code == 200
    answer = client.get(f"{address}?{few}&{part}")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:kao:problem:invalid-parameter"


@pytest.mark.parametrize(("path", "name"), [("/sheet", "seeds"), ("/blend", "seeds")])
def test_a_list_of_thousands_of_seeds_is_refused_before_it_is_parsed(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str, name: str
) -> None:
    items: list[str] = []

    def record(item: str) -> str:
        items.append(item)
        return item

    monkeypatch.setattr(value_types, "_parse_item", record)
    assert client.get(f"{path}?{name}={',' * 20_000}").status_code == 422
    assert len(items) <= value_types.MOST_ITEMS


def test_a_list_on_several_lines_is_one_list(client: TestClient) -> None:
    """RFC 9110 §5.3: proxies may split and join such lines."""
    lines = [("Accept", "text/plain"), ("Accept", "image/webp")]
    for _ in range(2):  # the second from memory
        answer = client.get("/avatar?seed=a", headers=lines)
        assert answer.headers["content-type"] == "image/webp"
    languages = [("Accept", "text/html"), ("Accept-Language", "xx"), ("Accept-Language", "zh")]
    assert 'lang="zh' in client.get("/", headers=languages).text
    long_lines = [(b"accept", b"a/b," * 300)] * 3
    assert _headers(*long_lines) == []
