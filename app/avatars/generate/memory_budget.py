"""How many threads may draw, and how much memory their pictures may take, within a limit."""

from dataclasses import dataclass

from app.avatars.formats import FORMATS
from app.avatars.generate.batching import count_slow
from app.avatars.generate.fair_queue import FAST_BYTES
from app.avatars.request.costs import FACE_BYTES
from app.avatars.request.picture_types import LARGEST_SHEET

# Resident after a first picture (`benchmarks/footprint.py`), a bundle's graphs included.
PROCESS_BYTES = 208 * 2**20
# The activations of a batch of 8 faces of 64 pixels, which ONNX Runtime's arena keeps.
THREAD_BYTES = 24 * 2**20
MODEL_SHARE = 16  # bundles beside those that an alias serves take at most this part of the limit
# The largest picture is a sheet, in the format that takes most.
LARGEST_PICTURE = LARGEST_SHEET**2 * (FACE_BYTES + int(FORMATS["webp"].costs["sheet"].bytes))


@dataclass(frozen=True)
class MemoryBudget:
    """threads: that may draw. pictures, models: bytes for running work and for idle bundles."""

    threads: int
    pictures: int
    models: int

    @classmethod
    def divide(cls, limit: int, threads: int, cache: int, models: int) -> "MemoryBudget":
        """Divide a limit in bytes: fewer threads where that lets the largest picture fit.

        threads, models: what the settings allow. cache: bytes of KAO_CACHE_BYTES.
        """
        models = min(models, limit // MODEL_SHARE)
        remaining_bytes = max(0, limit - PROCESS_BYTES - FAST_BYTES - cache - models)
        spare = remaining_bytes - LARGEST_PICTURE
        if spare < THREAD_BYTES * _all_threads(1):  # then that picture is refused
            spare = remaining_bytes // 4
        while threads > 1 and THREAD_BYTES * _all_threads(threads) > spare:
            threads -= 1
        return cls(
            threads, max(FAST_BYTES, remaining_bytes - _all_threads(threads) * THREAD_BYTES), models
        )


def _all_threads(threads: int) -> int:
    return threads + count_slow(threads)
