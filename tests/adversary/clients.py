"""Clients that send random requests and record the answers."""

import math
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.adversary.cluster import KEY
from tests.adversary.history import Operation
from tests.adversary.requests import Request, Requests, World

CLIENTS = 4
TIMEOUT = 20.0  # s
LONGEST_PAUSE = 0.2  # s between two requests of a client
SEEDS = 8
LENGTHS = (48, 64)  # images of a run
NAMES = ("faces", "other")  # of datasets
IDEMPOTENCY_KEYS = 2  # of a round
NEWEST_KEYS = 3  # that are used and revoked
PAGES = ("/models", "/train", "/datasets", "/keys", "/health/ready", "/presets", "/")


class Client:
    """One thread of requests, one after the other, from its start until it is stopped.

    What it changed it reads at every server before it goes on: on a slow machine a round has some
    dozens of requests, too few for a random one to read the right object soon enough.
    """

    def __init__(self, world: World, number: int, round: int, order: random.Random) -> None:
        self.world, self.number, self.round, self.order = world, number, round, order
        self.requests = Requests(world)
        self.history: list[Operation] = []
        self.stop = threading.Event()
        self._pending: list[tuple[str, Request]] = []  # (server, request)
        self._choices: dict[Callable[[], Request | None], int] = {
            self.pinned_face: 10,
            self.default_face: 10,
            self.batch: 2,
            self.train: 3,
            self.train_once: 10,
            self.cancel: 5,
            self.promote: 6,
            self.requests.roll_back: 2,
            self.requests.read_default: 3,
            self.requests.create_key: 4,
            self.use_key: 5,
            self.revoke_key: 4,
            self.upload: 3,
            self.delete: 2,
            self.read_dataset: 3,
            self.look: 3,
        }
        # Daemon: SIGTERM must end the driver in the middle of a round.
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as http:
            while not self.stop.wait(self.order.uniform(0, LONGEST_PAUSE)):
                server, request = self._pending.pop(0) if self._pending else self._choose()
                if request is not None:
                    operation = self.send(http, server, request)
                    self.history.append(operation)
                    self._pending += self.reads_after(operation)

    def _choose(self) -> tuple[str, Request | None]:
        server = self.order.choice(list(self.world.urls))
        weights = list(self._choices.values())
        return server, self.order.choices(list(self._choices), weights)[0]()

    def reads_after(self, change: Operation) -> list[tuple[str, Request]]:
        """What reads the object of a change, at every server."""
        servers = self.order.sample(list(self.world.urls), len(self.world.urls))
        if change.kind in ("promote", "roll_back"):
            return [(server, self.requests.read_default()) for server in servers]
        if change.kind in ("key.create", "key.revoke") and change.subject in self.world.keys:
            return [(server, self.requests.use_key(change.subject)) for server in servers]
        return []

    def send(self, http: httpx.Client, server: str, request: Request) -> Operation:
        """Send a request to a server; its record."""
        options = {"headers": {"Authorization": f"Bearer {KEY}"}, **request.options}
        url, start = self.world.urls[server] + request.path, time.monotonic()
        try:
            response = http.request(request.method, url, **options)
        except httpx.TransportError as error:
            return Operation(
                self.number, server, request.kind, request.subject, start,
                value=request.value, answer=type(error).__name__,
            )  # fmt: skip
        end = time.monotonic() if response.status_code < 500 else math.inf
        answer: Any = request.read(response) if response.is_success else response.text[:300]
        value = request.value
        if request.kind in ("face", "batch") and response.is_success:
            value = self._expected(request, answer["version"])
            if value != answer["bytes"]:
                answer["content"] = (
                    response.text if request.kind == "batch" else response.content.hex()
                )
        is_new_key = request.kind == "key.create" and response.is_success
        return Operation(
            self.number, server, request.kind, answer if is_new_key else request.subject, start,
            end, response.status_code, value, answer,
        )  # fmt: skip

    def _expected(self, request: Request, version: str) -> Any:
        """The bytes that a face must have."""
        seeds, _, model = request.subject.partition("@")
        faces = [self.world.references.face(version, seed, model) for seed in seeds.split(",")]
        return faces if request.kind == "batch" else faces[0]

    # Random requests. None where there is nothing to choose from yet.

    def pinned_face(self) -> Request:
        return self.requests.face(self.seed(), self.order.choice(self.world.versions))

    def default_face(self) -> Request:
        return self.requests.face(self.seed(), "default")

    def seed(self) -> str:
        """The seed of a face."""
        return str(self.order.randrange(SEEDS))

    def batch(self) -> Request:
        version = self.order.choice(self.world.versions)
        return self.requests.batch([self.seed() for _ in range(3)], version)

    def train(self) -> Request:
        return self.requests.train(f"run-{self.round}-{next(self.world.labels)}", LENGTHS[0])

    def train_once(self) -> Request:
        key = f"{self.round}/{self.order.randrange(IDEMPOTENCY_KEYS)}"
        return self.requests.train_once(key, self.order.choice(LENGTHS))

    def cancel(self) -> Request | None:
        runs = self.world.runs
        return self.requests.cancel(self.order.choice(runs)) if runs else None

    def promote(self) -> Request:
        return self.requests.promote(self.order.choice(self.world.versions))

    def use_key(self) -> Request | None:
        newest = list(self.world.keys)[-NEWEST_KEYS:]
        return self.requests.use_key(self.order.choice(newest)) if newest else None

    def revoke_key(self) -> Request:
        """Revoke one of the newest keys, one that is active if there is one."""
        newest = list(self.world.keys)[-NEWEST_KEYS:]
        active = [id for id in newest if id not in self.world.revoked]
        if not newest:
            return self.requests.create_key()
        return self.requests.revoke_key(self.order.choice(active or newest))

    def upload(self) -> Request:
        return self.requests.upload(
            self.order.choice(NAMES), self.order.choice(list(self.world.archives))
        )

    def delete(self) -> Request:
        return self.requests.delete(self.order.choice(NAMES))

    def read_dataset(self) -> Request:
        return self.requests.read_dataset(self.order.choice(NAMES))

    def look(self) -> Request:
        return self.requests.look(self.order.choice(PAGES))
