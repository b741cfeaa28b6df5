"""A client that is slow, floods or does not speak HTTP loses its connection, and only that."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from app.http import slow_clients
from models.registry import Registry
from tests.app.conftest import LiveServer, Start
from tests.support.live_app import Live
from tests.support.waiting import wait

KEEP_ALIVE = 5  # s, uvicorn's
LARGE_HEADERS = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 33_000 + b"\r\n\r\n"
HALF_A_BODY = b"POST /train HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{"


@pytest.fixture
def live(start: Start, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Live:
    """A server with short deadlines."""
    monkeypatch.setattr(slow_clients, "HEADERS", 0.5)
    monkeypatch.setattr(slow_clients, "LONGEST_PAUSE", 0.5)
    return start()


def _is_paused(connection: object) -> bool:
    assert isinstance(connection, slow_clients.Connection)
    return connection.flow.write_paused


def _connect(live: Live) -> socket.socket:
    port = int(live.url.rsplit(":", 1)[1])
    client = socket.create_connection(("127.0.0.1", port), timeout=8)
    return client


def _read_all(client: socket.socket) -> tuple[bytes, float]:
    """Everything until the server closes, and the seconds that took."""
    start, data = time.monotonic(), b""
    while chunk := client.recv(65536):
        data += chunk
    return data, time.monotonic() - start


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"GET /avatar?seed=1", b"408", id="half-a-line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ", b"408", id="half-a-header"),
        pytest.param(HALF_A_BODY, b"408", id="half-a-body"),
        pytest.param(b"GET /avatar\x00 HTTP/1.1\r\n\r\n", b"400", id="no-http"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00", b"400", id="tls"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000, b"431", id="endless-headers"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 33_000 + b"\r\n\r\n",
            b"431",
            id="large-headers",
        ),
    ],
)
def test_an_incomplete_request_is_cut_off(live: Live, request_bytes: bytes, status: bytes) -> None:
    with _connect(live) as client:
        client.sendall(request_bytes)
        data, seconds = _read_all(client)
    assert seconds < 4
    if not status:
        assert data == b""
    else:
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.split()[1].startswith(status)
        assert b"application/problem+json" in head
        assert b'"detail"' in body


def test_one_header_line_a_tick_does_not_outlive_the_deadline(live: Live) -> None:
    with _connect(live) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(OSError, match=r"(?i)reset|pipe"):
            _drip(client, b"X-Drip: 1\r\n", 6)


def test_a_body_that_drips_is_cut_off(live: Live) -> None:
    with _connect(live) as client:
        client.sendall(HALF_A_BODY.replace(b"Length: 9", b"Length: 9999"))
        with pytest.raises(OSError, match=r"(?i)reset|pipe"):
            _drip(client, b"x", 8)


@pytest.mark.parametrize(("length", "status"), [(60_000, b"200"), (9_999_999, b"413")])
def test_a_body_after_the_answer_is_cut_off(
    live: Live, monkeypatch: pytest.MonkeyPatch, length: int, status: bytes
) -> None:
    """A client cannot hold the connection by sending more, however fast."""
    monkeypatch.setattr(slow_clients, "LINGER", 0.5)
    with _connect(live) as client:
        head = f"GET /health/live HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 " + status)
        with pytest.raises(OSError, match=r"(?i)reset|pipe"):
            _drip(client, b"x" * 500, 8)


def test_the_second_request_of_a_connection_has_the_same_deadline(live: Live) -> None:
    with _connect(live) as client:
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\nGET /heal")
        data, seconds = _read_all(client)
    assert seconds < 4
    assert data.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in data


def _drip(client: socket.socket, piece: bytes, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        client.sendall(piece)
        time.sleep(0.1)


def test_a_slow_client_that_keeps_sending_is_served(live: Live) -> None:
    request = b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with _connect(live) as client:
        for piece in (request[:20], request[20:]):
            client.sendall(piece)
            time.sleep(0.2)
        data, _ = _read_all(client)
    assert data.startswith(b"HTTP/1.1 200")


def test_a_client_that_waits_for_its_answer_is_not_cut_off(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = live.server.state.engine
    draw = engine.draw

    async def slow(*arguments: Any) -> Any:
        result = await draw(*arguments)
        await asyncio.sleep(2.5)
        return result

    monkeypatch.setattr(engine, "draw", slow)
    with _connect(live) as client:
        client.sendall(b"GET /avatar?seed=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        data, _ = _read_all(client)
    assert data.startswith(b"HTTP/1.1 200")


def test_a_client_that_reads_nothing_is_cut_off(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_clients, "STALL", 0.5)
    open_now = live.server.server_state.connections
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", int(live.url.rsplit(":", 1)[1])))
        # More than the kernel's buffers hold.
        client.sendall(b"GET /avatar?seed=1&size=1024 HTTP/1.1\r\nHost: a\r\n\r\n" * 200)
        _wait_until(lambda: any(_is_paused(connection) for connection in list(open_now)))
        _wait_until(lambda: not open_now)


def test_a_server_raises_the_limit_of_open_files() -> None:
    code = (
        "import resource; from app.server import allow_connections; "
        "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)); allow_connections(); "
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 1024 or hard <= 1024)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "True"


def _wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_seed_of_4096_bytes_fits_into_the_headers(live: Live, http: httpx.Client) -> None:
    answer = http.get(f"{live.url}/avatar?size=16&seed={'%C3%A9' * 2048}")
    assert answer.status_code == 200


@pytest.mark.slow
def test_a_server_that_was_suspended_answers_requests_that_came_meanwhile(
    live_server: LiveServer,
) -> None:
    url, process = live_server
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        assert client.get("/avatar?seed=0").status_code == 200
        process.suspend()
        while process.status() != psutil.STATUS_STOPPED:
            time.sleep(0.05)
        thaw = threading.Timer(KEEP_ALIVE + 1, process.resume)
        thaw.start()
        try:
            # On the same connection, whose keep-alive time has passed when the server reads it.
            assert client.get("/avatar?seed=1").status_code == 200
        finally:
            thaw.join()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "header", "status"),
    [
        pytest.param("/avatar?seed=日本&size=16", "", b"200", id="query"),
        pytest.param("/avatar/日本.png", "", b"200", id="path"),
        pytest.param("/avatar?seed=日本&size=16", "Host: b\r\n", b"400", id="two-hosts"),
    ],
)
def test_an_address_may_have_characters_as_curl_sends_them(
    live: Live, target: str, header: str, status: bytes
) -> None:
    with _connect(live) as client:
        request = f"GET {target} HTTP/1.1\r\nHost: a\r\n{header}Connection: close\r\n\r\n"
        client.sendall(request.encode())
        answer, _ = _read_all(client)
    assert answer.split(b" ", 2)[1] == status
    assert (b"x-avatar-seed: %E6%97%A5%E6%9C%AC\r\n" in answer) is (status == b"200")


def test_an_idle_connection_is_closed(live_server: LiveServer) -> None:
    with socket.create_connection(
        ("127.0.0.1", urlsplit(live_server[0]).port), timeout=30
    ) as client:
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        data, seconds = _read_all(client)
    assert data.startswith(b"HTTP/1.1 200")
    assert KEEP_ALIVE <= seconds < KEEP_ALIVE + 3


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such option")
def test_a_client_that_vanished_is_given_up(live: Live) -> None:
    connections = live.server.server_state.connections
    with _connect(live):
        connection: Any = wait(lambda: next(iter(list(connections)), None), 30)
        own = connection.transport.get_extra_info("socket")
        milliseconds = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert 0 < milliseconds <= 1000 * slow_clients.STALL


def test_unfinished_requests_share_a_budget_of_memory(
    start: Start, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 connections that each sent 60 kB of a body took 600 MB."""
    monkeypatch.setattr(slow_clients, "LEAST_UNFINISHED", 250_000)
    monkeypatch.setattr("app.server.MANY", 0)
    live = start()
    live.server.memory = 0
    port = int(live.url.rsplit(":", 1)[1])
    head = b"POST /session HTTP/1.1\r\nHost: a\r\nContent-Length: 60010\r\n\r\n"
    with ExitStack() as clients:
        polite = clients.enter_context(
            socket.create_connection(("127.0.0.1", port), 30, ("127.0.0.2", 0))
        )
        polite.sendall(head + b"x" * 60_000)
        greedy = [clients.enter_context(_connect(live)) for _ in range(6)]
        for client in greedy:
            client.sendall(head + b"x" * 60_000)
        wait(lambda: sum(map(_is_closed, greedy)) >= 3, 30, "those that are too many are closed")
        polite.sendall(b"x" * 10)
        assert polite.recv(100).startswith(b"HTTP/1.1 4")
    assert httpx.get(f"{live.url}/health/live").status_code == 200


def _is_closed(client: socket.socket) -> bool:
    """Whether the server answered 503, or reset a connection of which it had not read all."""
    client.settimeout(0.1)
    try:
        return client.recv(100, socket.MSG_PEEK)[:12] in (b"HTTP/1.1 503", b"")
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True
