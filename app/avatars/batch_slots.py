"""Slots for batches of faces: each client has a few, so that slow readers cannot take them all."""

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from models.errors import Overloaded

TOTAL = 64  # a batch in progress has one face in the engine's queue, and 3 kB for each earlier one
EACH = 2  # batches of one client


class BatchSlots:
    """Counts the batches in progress. Its methods must be called on one event loop.

    A client of None is this machine, which only the total limits.
    """

    def __init__(self, total: int = TOTAL, each: int = EACH) -> None:
        self.total, self.each = total, each
        self._batches: Counter[Hashable] = Counter()

    def check(self, client: Hashable) -> None:
        """Raise Overloaded where `client` has no slot left."""
        if self._batches.total() >= self.total:
            raise Overloaded("Too many batches are being drawn; try again in a second.")
        if client is not None and self._batches[client] >= self.each:
            raise Overloaded(
                f"{self.each} of your batches are being drawn; read one of them to its end first."
            )

    @contextmanager
    def take(self, client: Hashable) -> Iterator[None]:
        """Hold a slot of a client. Raises Overloaded."""
        self.check(client)
        self._batches[client] += 1
        try:
            yield
        finally:
            self._batches[client] -= 1
            if not self._batches[client]:
                del self._batches[client]
