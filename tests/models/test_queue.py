"""A client of the queue waits for its timeout once, and never retries."""

import socket
from pathlib import Path

import pytest
import redis

from models.queue import connect
from models.settings import Settings


def test_a_silent_queue_is_given_up_after_one_connection(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1)
        url = f"redis://127.0.0.1:{server.getsockname()[1]}"
        client = connect(Settings(home=tmp_path, redis_url=url), timeout=0.2)
        with client, pytest.raises(redis.TimeoutError):
            client.ping()
        server.accept()[0].close()
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_missing_socket_is_an_error_of_redis(tmp_path: Path) -> None:
    client = connect(Settings(home=tmp_path), timeout=0.2)
    with client, pytest.raises(redis.ConnectionError):
        client.ping()
