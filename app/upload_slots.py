"""Slots for uploads: one in progress takes 1 MiB of memory, and disk that no quota counts yet."""

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from models.errors import Overloaded

TOTAL = 32  # uploads of this process
EACH = 4  # uploads of one client


class UploadSlots:
    """Counts the uploads in progress. Its methods must be called on one event loop."""

    def __init__(self, total: int = TOTAL, each: int = EACH) -> None:
        self.total, self.each = total, each
        self._uploads: Counter[Hashable] = Counter()

    @contextmanager
    def take(self, client: Hashable) -> Iterator[None]:
        """Hold a slot of a client. Raises Overloaded."""
        if self._uploads.total() >= self.total:
            raise Overloaded("Too many uploads are in progress; try again in a second.")
        if self._uploads[client] >= self.each:
            raise Overloaded(f"{self.each} of your uploads are in progress; wait for one of them.")
        self._uploads[client] += 1
        try:
            yield
        finally:
            self._uploads[client] -= 1
            if not self._uploads[client]:
                del self._uploads[client]
