"""A budget of memory for the bodies of `POST /avatars` that clients are still sending.

Without one, some hundred clients that each send most of 8 MiB and then hardly more use up the
memory of the server.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from models.errors import Overloaded

SMALL = 64 * 2**10  # bytes of a body that is always read, as at every other address
TOTAL = 32 * 2**20  # bytes of all larger ones together
EACH = 16 * 2**20  # bytes of those of one client


class BodyBudget:
    """The bytes of large bodies in memory. Its methods must be called on one event loop.

    A client of None is this machine, which only the total limits.
    """

    def __init__(self, total: int = TOTAL, each: int = EACH) -> None:
        self.total, self.each = total, each
        self._bytes: Counter[Hashable] = Counter()

    @contextmanager
    def hold(self, client: Hashable) -> Iterator[Callable[[int], None]]:
        """A function to call with the size of a client's body as it grows; it raises Overloaded."""
        size = 0

        def grow(new_size: int) -> None:
            nonlocal size
            growth = new_size - size
            if new_size > SMALL:
                self._check(client, growth)
            self._bytes[client] += growth
            size = new_size

        try:
            yield grow
        finally:
            self._bytes[client] -= size
            if not self._bytes[client]:
                del self._bytes[client]

    def _check(self, client: Hashable, growth: int) -> None:
        if self._bytes.total() + growth > self.total:
            raise Overloaded("Too many large bodies are being sent; try again in a second.")
        if client is not None and self._bytes[client] + growth > self.each:
            raise Overloaded(
                f"You are sending more than {self.each >> 20} MiB at once; send one body, then the "
                "next."
            )
