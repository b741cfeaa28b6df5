"""Slots for event streams: each client has some, so that none can open them all.

An open stream reads the database four times a second in threads that other calls need too.
"""

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.errors import TooManyRequests
from models.errors import Overloaded

TOTAL = 256  # streams of this process, about a third of a core
EACH = 64  # streams of one client
RETRY_AFTER = 10  # s


@dataclass(eq=False)
class Slot:
    """The slot of an open stream. is_ended: its client had the most, and another one needed it."""

    client: Hashable
    is_ended: bool = False


class StreamSlots:
    """Counts the open streams. Its methods must be called on one event loop."""

    def __init__(self, total: int = TOTAL, each: int = EACH) -> None:
        self.total, self.each = total, each
        self._slots: list[Slot] = []  # oldest first

    def __len__(self) -> int:
        return len(self._slots)

    @contextmanager
    def take(self, client: Hashable) -> Iterator[Slot]:
        """Hold a slot of a client. Raises TooManyRequests, and Overloaded where all are in use.

        Where all are in use, a client with fewer than another one gets the other's newest.
        """
        count = self._counts()[client]
        if count >= self.each:
            raise TooManyRequests(
                f"You have {self.each} event streams open; end one of them first.",
                {"Retry-After": str(RETRY_AFTER)},
            )
        if len(self._slots) >= self.total:
            self._make_room(count)
        slot = Slot(client)
        self._slots.append(slot)
        try:
            yield slot
        finally:
            if not slot.is_ended:
                self._slots.remove(slot)

    def _counts(self) -> Counter[Hashable]:
        return Counter(slot.client for slot in self._slots)

    def _make_room(self, count: int) -> None:
        """End the newest stream of the client with the most, for a client that has `count`."""
        greediest, most = self._counts().most_common(1)[0] if self._slots else (None, 0)
        if most <= count + 1:
            raise Overloaded("Too many event streams are open; try again in a second.")
        newest = next(slot for slot in reversed(self._slots) if slot.client == greediest)
        newest.is_ended = True
        self._slots.remove(newest)
