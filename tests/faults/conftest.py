"""Houses for the tests of faults."""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.support.process_group import House
from tests.support.servers import Postgres


@pytest.fixture
def build_house():
    """Build houses: `build_house(storage_url=…)`."""
    built: list[House] = []

    def build(**fields) -> House:
        # Not pytest's folder: a Unix socket's path has at most about 100 bytes.
        built.append(House(Path(tempfile.mkdtemp(prefix="kao-")), **fields))
        return built[-1]

    yield build
    for house in built:
        house.close()
        shutil.rmtree(house.folder, ignore_errors=True)


@pytest.fixture
def house(build_house) -> House:
    """A home without processes; the test starts those that it needs."""
    return build_house()


@pytest.fixture(scope="session")
def postgres():
    """A throwaway PostgreSQL."""
    if Postgres.binaries() is None:
        pytest.skip("no PostgreSQL here: `apt-get install postgresql`")
    server = Postgres()
    yield server
    server.remove()
