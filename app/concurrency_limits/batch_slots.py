"""Slots for batches of faces: each client has a few, so that slow readers cannot take them all."""

from typing import NoReturn

from app.concurrency_limits.client_slots import ClientSlots
from models.errors import Overloaded

TOTAL = 64  # a batch in progress has one face in the engine's queue, and 3 kB for each earlier one
EACH = 2  # batches of one client


class BatchSlots(ClientSlots):
    """Counts the batches in progress."""

    def __init__(self, total: int = TOTAL, each: int = EACH) -> None:
        super().__init__(total, each)

    def refuse_all(self) -> NoReturn:
        """Raise Overloaded."""
        raise Overloaded("Too many batches are being drawn; try again in a second.")

    def refuse_client(self) -> NoReturn:
        """Raise Overloaded."""
        raise Overloaded(
            f"{self.each} of your batches are being drawn; read one of them to its end first."
        )
