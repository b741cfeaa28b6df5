"""A real queue at the settings' socket."""

import subprocess
import time
from collections.abc import Iterator

import pytest
import redis

from kao import embedded_valkey
from models.settings import Settings


@pytest.fixture
def queue(settings: Settings) -> Iterator[redis.Redis]:
    """A real server at the settings' socket."""
    binary = embedded_valkey.find_server()
    if binary is None:
        pytest.skip("no Valkey or Redis server here")
    server = subprocess.Popen(embedded_valkey.command(settings, binary))
    with redis.Redis(unix_socket_path=str(settings.redis_socket)) as client:
        deadline = time.monotonic() + 30
        while not _answers(client):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield client
    server.terminate()
    server.wait(10)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
