"""`kao up` for tests that use all of it (tests/support/kao_up.py)."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fixtures import StartUp
from tests.support.kao_up import Up


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a home may lie: a Unix socket's path has at most 100 bytes, and pytest's are long."""
    with tempfile.TemporaryDirectory(prefix="kao-", ignore_cleanup_errors=True) as path:
        yield Path(path)


@pytest.fixture
def start_up(folder: Path) -> Iterator[StartUp]:
    """Start `kao up` with more in its environment; it is stopped afterwards."""
    running: list[Up] = []

    def start(**environment: str) -> Up:
        running.append(Up(folder / "home", **environment))
        return running[-1]

    yield start
    for up in running:
        if up.process.poll() is None:
            up.stop()


@pytest.fixture
def up(start_up: StartUp) -> Up:
    """A running `kao up` of its own."""
    return start_up()
