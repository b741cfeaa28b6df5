"""The embedded queue starts with a damaged file, with a long home, and refuses a foreign folder."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from kao import embedded_valkey
from kao.processes import Child
from models.errors import KaoError
from models.settings import LONGEST_SOCKET_PATH, Settings
from tests.support.waiting import wait


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home whose path is too long for a Unix socket, as pytest's folders often are."""
    return Settings(home=tmp_path / ("h" * LONGEST_SOCKET_PATH))


@pytest.fixture
def queue(settings: Settings) -> Iterator[Child]:
    """The queue as `kao up` starts it."""
    binary = embedded_valkey.find_server()
    assert binary is not None
    child = Child(
        "queue",
        embedded_valkey.command(settings, binary),
        {},
        grace=10,
        output=embedded_valkey.log_file(settings),
        after_death=lambda _: embedded_valkey.set_aside_damaged(settings),
    )
    yield child
    child.stop()


def answers(settings: Settings) -> bool:
    try:
        with redis.from_url(settings.redis, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def run_until_it_answers(queue: Child, settings: Settings) -> None:
    def look() -> bool:
        queue.check()
        return answers(settings)

    wait(look, 60, lambda: f"the queue answers\n{embedded_valkey.log_file(settings).read_text()}")


def append_only_file(settings: Settings) -> Path:
    folder = embedded_valkey.data_folder(settings) / "appendonlydir"
    (file,) = folder.glob("*.incr.aof")
    return file


def test_a_long_home_has_its_socket_below_tmp(settings: Settings, queue: Child) -> None:
    assert len(os.fsencode(settings.redis_socket)) <= LONGEST_SOCKET_PATH
    run_until_it_answers(queue, settings)
    folder = settings.redis_socket.parent
    assert folder.stat().st_mode & 0o777 == 0o700
    other = settings.model_copy(update={"home": settings.home / "other"})
    assert other.redis_socket != settings.redis_socket, "each home has a queue of its own"


def test_a_short_home_keeps_its_socket() -> None:
    settings = Settings(home=Path("/srv/kao"))
    assert settings.redis_socket == Path("/srv/kao/run/valkey.sock")


def test_a_socket_folder_that_others_may_enter_is_refused(settings: Settings) -> None:
    folder = settings.redis_socket.parent
    folder.mkdir(mode=0o755, exist_ok=True)
    folder.chmod(0o755)
    with pytest.raises(KaoError, match="closed to others"):
        embedded_valkey.command(settings, Path("valkey-server"))


def test_a_damaged_append_only_file_is_set_aside(settings: Settings, queue: Child) -> None:
    run_until_it_answers(queue, settings)
    with redis.from_url(settings.redis) as client:
        for number in range(100):
            client.rpush("train", f"message {number}")
    queue.stop()
    file = append_only_file(settings)
    data = file.read_bytes()
    file.write_bytes(data[:500] + os.urandom(200) + data[700:])
    queue.process, queue.next_start = None, 0.0
    run_until_it_answers(queue, settings)
    (folder,) = settings.home.glob("valkey.damaged-*")
    assert (folder / "appendonlydir" / file.name).stat().st_size == len(data)
    with redis.from_url(settings.redis) as client:
        assert client.llen("train") == 0


@pytest.mark.parametrize(
    "output",
    [
        "# Can't open the append-only file: Permission denied",
        "# Can't write the AOF: No space left on device",
        "# Failed opening Unix socket: bind: Address already in use",
        "",
    ],
)
def test_what_a_new_file_would_not_mend_sets_nothing_aside(settings: Settings, output: str) -> None:
    embedded_valkey.data_folder(settings).mkdir(parents=True)
    embedded_valkey.log_file(settings).write_text(output)
    embedded_valkey.set_aside_damaged(settings)
    assert list(settings.home.glob("valkey.damaged-*")) == []


def test_a_child_that_dies_at_once_is_restarted_ever_more_slowly(tmp_path: Path) -> None:
    child = Child("false", ["false"], {}, grace=1)
    delays = []
    for _ in range(3):
        child.next_start = 0.0
        child.check()
        process = child.process
        assert process is not None
        process.wait(10)
        child.check()
        delays.append(child.delay)
        assert child.next_start > time.monotonic()
    assert delays == [1.0, 2.0, 4.0]
