"""Slots for work in progress: each client has a few, so that none can take them all."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import NoReturn


class ClientSlots(ABC):
    """Counts what is in progress. Its methods must be called on one event loop.

    A client of None is this machine, which only the total limits.
    """

    def __init__(self, total: int, each: int) -> None:
        self.total, self.each = total, each
        self._counts: Counter[Hashable] = Counter()

    def check(self, client: Hashable) -> None:
        """Raise Overloaded where `client` has no slot left."""
        if self._counts.total() >= self.total:
            self.refuse_all()
        if client is not None and self._counts[client] >= self.each:
            self.refuse_client()

    @contextmanager
    def take(self, client: Hashable) -> Iterator[None]:
        """Hold a slot of a client. Raises Overloaded."""
        self.check(client)
        self._counts[client] += 1
        try:
            yield
        finally:
            self._counts[client] -= 1
            if not self._counts[client]:
                del self._counts[client]

    @abstractmethod
    def refuse_all(self) -> NoReturn:
        """Raise Overloaded: all slots are in use."""

    @abstractmethod
    def refuse_client(self) -> NoReturn:
        """Raise Overloaded: all slots of one client are in use."""
