"""The shipped model behind LitServe, as its documentation has one write it."""

import os
from typing import Any

import litserve
import peer_models
from fastapi import Response


class Avatars(litserve.LitAPI):  # type: ignore[misc]
    """One seed a request, drawn in batches of up to PEER_BATCH."""

    def setup(self, device: str) -> None:
        """Load the model in the worker process."""
        self.model = peer_models.load()

    def decode_request(self, request: dict[str, str]) -> str:
        """The seed of a JSON body."""
        return request["seed"]

    def batch(self, seeds: list[str]) -> list[str]:
        """Seeds become latents in `predict`."""
        return seeds

    def predict(self, seeds: Any) -> Any:
        """A batch's pixels, or one seed's when nothing is batched."""
        return self.model.draw([seeds])[0] if isinstance(seeds, str) else self.model.draw(seeds)

    def unbatch(self, pixels: Any) -> list[Any]:
        """One picture each."""
        return list(pixels)

    def encode_response(self, pixels: Any) -> Response:
        """A PNG."""
        return Response(self.model.encode(pixels), media_type="image/png")


if __name__ == "__main__":
    wait = 0.005 if peer_models.BATCH > 1 else 0.0
    api = Avatars(max_batch_size=peer_models.BATCH, batch_timeout=wait)
    server = litserve.LitServer(api, accelerator="cpu", devices=1, fast_queue=True)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["KAO_PORT"]),
        generate_client_file=False,
        num_api_servers=1,
        log_level="warning",
    )
