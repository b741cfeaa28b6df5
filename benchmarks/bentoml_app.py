"""The shipped model behind BentoML, as its documentation has one write it.

Without batching one service; with it two, since an API that batches takes and gives lists.
"""

from typing import Annotated

import bentoml
import painters
from bentoml.validators import ContentType

Png = Annotated[bytes, ContentType("image/png")]


@bentoml.service(workers=1)
class Single:
    """A request, a drawing."""

    def __init__(self) -> None:
        self.painter = painters.painter()

    @bentoml.api
    def avatar(self, seed: str) -> Png:
        """A PNG of a seed."""
        return self.painter.encode(self.painter.draw([seed])[0])


@bentoml.service(workers=1)
class Batched:
    """Draws what arrives together."""

    def __init__(self) -> None:
        self.painter = painters.painter()

    @bentoml.api(batchable=True, max_batch_size=max(2, painters.BATCH), max_latency_ms=1000)
    def draw(self, seeds: list[str]) -> list[bytes]:
        """PNGs of seeds."""
        return [self.painter.encode(pixels) for pixels in self.painter.draw(seeds)]


@bentoml.service(workers=1)
class Front:
    """One seed a request, handed to the service that batches."""

    batched = bentoml.depends(Batched)

    @bentoml.api
    async def avatar(self, seed: str) -> Png:
        """A PNG of a seed."""
        png: bytes
        (png,) = await self.batched.to_async.draw([seed])
        return png
