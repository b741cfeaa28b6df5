"""The shipped model behind BentoML, as its documentation has one write it.

Without batching one service; with it two, since an API that batches takes and gives lists.
"""

from typing import Annotated

import bentoml
import peer_models
from bentoml.validators import ContentType

Png = Annotated[bytes, ContentType("image/png")]


@bentoml.service(workers=1)
class Single:
    """A request, a drawing."""

    def __init__(self) -> None:
        self.model = peer_models.load()

    @bentoml.api
    def avatar(self, seed: str) -> Png:
        """A PNG of a seed."""
        return self.model.encode(self.model.draw([seed])[0])


@bentoml.service(workers=1)
class Batched:
    """Draws what arrives together."""

    def __init__(self) -> None:
        self.model = peer_models.load()

    @bentoml.api(batchable=True, max_batch_size=max(2, peer_models.BATCH), max_latency_ms=1000)
    def draw(self, seeds: list[str]) -> list[bytes]:
        """PNGs of seeds."""
        return [self.model.encode(pixels) for pixels in self.model.draw(seeds)]


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
