"""Types of the fixtures that several folders of tests use."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from models import runs
from models.faces.attributes import Attribute
from tests.support.kao_up import Up
from tests.support.process_group import House

# `begin(state)`: create a run in a state; its id and fence.
Begin = Callable[..., tuple[str, runs.Fence]]


class WriteBundle(Protocol):
    """Write a bundle of random weights; returns its folder."""

    def __call__(
        self,
        seed: int = 0,
        preset: str = "smoke",
        attributes: Sequence[Attribute] = (),
        **fields: Any,
    ) -> Path: ...


class AddCritic(Protocol):
    """Write a critic into a bundle's folder."""

    def __call__(self, folder: Path, node: str = "Relu") -> None: ...


class BuildHouse(Protocol):
    """Make a home for real processes, with these settings."""

    def __call__(self, **fields: Any) -> House: ...


class StartUp(Protocol):
    """Start `kao up` with more variables in its environment."""

    def __call__(self, **environment: str) -> Up: ...
