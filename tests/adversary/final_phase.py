"""The end of a round: each object is changed at one server and read at every server.

No fault and no other client interferes, so a change that one server does not notice shows in every
round, however few requests the round had.
"""

import math
import time
from collections.abc import Iterator

import httpx

from tests.adversary.clients import LENGTHS, NAMES, TIMEOUT, Client
from tests.adversary.history import Operation
from tests.adversary.requests import Request


class FinalPhase:
    """A client's last requests. The servers change roles by the client's order.

    promoted: when the last promotion was answered, on the monotonic clock.
    """

    def __init__(self, client: Client) -> None:
        self.client, self.requests, self.promoted = client, client.requests, math.inf
        servers = list(client.world.urls)
        self.servers = client.order.sample(servers, len(servers))

    def change(self) -> list[Operation]:
        """Change each object, and read it at every server."""
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as self.http:
            operations = list(self._promote())
            self.promoted = time.monotonic()
            for changes in (self._use_key(), self._train_once(), self._change_dataset()):
                operations += changes
            return operations

    def read_faces(self, at: float) -> list[Operation]:
        """A face of `default` at every server, not before that time of the monotonic clock."""
        time.sleep(max(0.0, at - time.monotonic()))
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as self.http:
            return list(self._everywhere(self.requests.face(self.client.seed(), "default")))

    def _send(self, server: str, request: Request) -> Operation:
        return self.client.send(self.http, server, request)

    def _everywhere(self, request: Request) -> Iterator[Operation]:
        for server in self.servers:
            yield self._send(server, request)

    def _promote(self) -> Iterator[Operation]:
        """Promote every version, each at the next server."""
        versions = self.client.world.versions
        for index, version in enumerate(self.client.order.sample(versions, len(versions))):
            server = self.servers[index % len(self.servers)]
            yield self._send(server, self.requests.promote(version))
            yield from self._everywhere(self.requests.read_default())

    def _use_key(self) -> Iterator[Operation]:
        new_key = self._send(self.servers[0], self.requests.create_key())
        yield new_key
        if new_key.is_success:
            yield from self._everywhere(self.requests.use_key(new_key.subject))
            yield self._send(self.servers[0], self.requests.revoke_key(new_key.subject))
            yield from self._everywhere(self.requests.use_key(new_key.subject))

    def _train_once(self) -> Iterator[Operation]:
        key = f"{self.client.round}/final"
        yield from self._everywhere(self.requests.train_once(key, LENGTHS[0]))

    def _change_dataset(self) -> Iterator[Operation]:
        name, digest = NAMES[0], next(iter(self.client.world.archives))
        for request in (self.requests.upload(name, digest), self.requests.delete(name)):
            yield self._send(self.servers[0], request)
            yield from self._everywhere(self.requests.read_dataset(name))
