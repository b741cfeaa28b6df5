"""Homes with real processes for the tests of faults."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fixtures import BuildHouse
from tests.support.process_group import House


@pytest.fixture
def build_house() -> Iterator[BuildHouse]:
    """Build houses: `build_house(storage_url=…)`."""
    houses: list[House] = []

    def build(**fields: Any) -> House:
        # Not pytest's folder: a Unix socket's path has at most about 100 bytes.
        houses.append(House(Path(tempfile.mkdtemp(prefix="kao-")), **fields))
        return houses[-1]

    yield build
    for house in houses:
        house.close()
        shutil.rmtree(house.folder, ignore_errors=True)


@pytest.fixture
def house(build_house: BuildHouse) -> House:
    """A home without processes; the test starts those that it needs."""
    return build_house()
