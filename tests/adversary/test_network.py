"""Each fault of a link does to a connection what its name says."""

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.network import Link, Network


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(1024):
                    connection.sendall(data)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield server.getsockname()[1]
    server.close()


@pytest.fixture
def link(network: Network, echo: int) -> Link:
    return network.link("client", "echo", echo)


def connect(link: Link) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", link.port), timeout=5)
    try:
        assert talk(connection)
    except OSError:
        connection.close()
        raise
    return connection


def talk(connection: socket.socket, seconds: float = 5.0) -> bool:
    """Whether a word comes back in time."""
    connection.settimeout(seconds)
    connection.sendall(b"word")
    try:
        return connection.recv(4) == b"word"
    except TimeoutError:
        return False


def test_a_cut_resets_what_is_there_and_refuses_what_comes(network: Network, link: Link) -> None:
    with connect(link) as connection:
        network.apply(link.name, "cut")
        with pytest.raises(OSError, match="reset"):
            connection.recv(4)
    with pytest.raises(OSError, match="reset"):
        connect(link)
    network.heal(link.name)
    connect(link).close()


def test_a_half_open_connection_is_silent_for_ever_and_a_new_one_works(
    network: Network, link: Link
) -> None:
    with connect(link) as connection:
        network.apply(link.name, "half-open")
        connect(link).close()
        assert not talk(connection, 0.2)
        network.heal(link.name)
        assert not talk(connection, 0.2)


def test_what_was_sent_into_a_partition_arrives_after_it(network: Network, link: Link) -> None:
    with connect(link) as connection:
        network.apply(link.name, "partition")
        assert not talk(connection, 0.2)
        network.heal(link.name)
        connection.settimeout(5)
        assert connection.recv(4) == b"word"


def test_a_delayed_link_is_slower(network: Network, link: Link) -> None:
    with connect(link) as connection:
        network.apply(link.name, "delay", 0.3)
        assert not talk(connection, 0.2)
        connection.settimeout(5)
        assert connection.recv(4) == b"word"
