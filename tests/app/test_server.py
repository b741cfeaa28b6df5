"""The sockets of the server."""

import socket

import pytest

from app import server
from models.settings import Settings
from tests.support.waiting import free_port


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::", "::0", "[::]", "0:0:0:0:0:0:0:0"])
def test_two_colons_listen_on_ipv4_too(host: str) -> None:
    settings = Settings(host=host, port=free_port())
    sockets = server._sockets(settings)
    assert sockets is not None
    (listener,) = sockets
    with listener:
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, settings.port), timeout=20):
                listener.accept()[0].close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "localhost"])
def test_another_address_is_left_to_uvicorn(host: str) -> None:
    assert server._sockets(Settings(host=host)) is None
