"""Slots for uploads: one in progress takes 1 MiB of memory, and disk that no quota counts yet."""

from typing import NoReturn

from app.concurrency_limits.client_slots import ClientSlots
from models.errors import Overloaded

TOTAL = 32  # uploads of this process
EACH = 4  # uploads of one client


class UploadSlots(ClientSlots):
    """Counts the uploads in progress."""

    def __init__(self, total: int = TOTAL, each: int = EACH) -> None:
        super().__init__(total, each)

    def refuse_all(self) -> NoReturn:
        """Raise Overloaded."""
        raise Overloaded("Too many uploads are in progress; try again in a second.")

    def refuse_client(self) -> NoReturn:
        """Raise Overloaded."""
        raise Overloaded(f"{self.each} of your uploads are in progress; wait for one of them.")
