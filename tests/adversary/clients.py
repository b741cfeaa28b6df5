"""Clients that send random requests, and remember what each was answered."""

import base64
import hashlib
import io
import itertools
import json
import math
import random
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image

from tests.adversary.cluster import KEY
from tests.adversary.history import Operation
from tests.adversary.references import LOOK, References

CLIENTS = 4
TIMEOUT = 20.0  # s
LONGEST_PAUSE = 0.2  # s between two requests of a client
SEEDS = 8
LENGTHS = (48, 64)  # images of a run
NAMES = ("faces", "other")  # of datasets
IDEMPOTENCY_KEYS = 2  # of a round
NEWEST_KEYS = 3  # that are used and revoked
PAGES = ("/models", "/train", "/datasets", "/keys", "/health/ready", "/presets", "/")


def make_archives() -> dict[str, bytes]:
    """Two small datasets, by their digests."""
    archives = {}
    for shade in (40, 200):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            for index in range(4):
                picture = io.BytesIO()
                Image.new("RGB", (24, 24), (shade, 60 * index, 99)).save(picture, "PNG")
                file.writestr(zipfile.ZipInfo(f"{index}.png"), picture.getvalue())
        archives[hashlib.sha256(archive.getvalue()).hexdigest()] = archive.getvalue()
    return archives


@dataclass
class World:
    """What the clients know of, and share."""

    urls: dict[str, str]
    references: References
    versions: list[str]
    archives: dict[str, bytes] = field(default_factory=make_archives)
    keys: list[tuple[str, str]] = field(default_factory=list)  # (id, secret)
    runs: list[str] = field(default_factory=list)
    labels: "itertools.count[int]" = field(default_factory=itertools.count)


@dataclass(frozen=True)
class Request:
    """What is sent, and how its answer becomes the record's `answer`."""

    kind: str
    method: str
    path: str
    subject: str = ""
    value: Any = None
    read: Callable[[httpx.Response], Any] = lambda _: None
    options: dict[str, Any] = field(default_factory=dict)


class Client:
    """One thread of requests, one after the other, until it is stopped."""

    def __init__(self, world: World, number: int, round: int, order: random.Random) -> None:
        self.world, self.number, self.round, self.order = world, number, round, order
        self.history: list[Operation] = []
        self.stop = threading.Event()
        self.choices: dict[Callable[[], Request | None], int] = {
            self.pinned_face: 16,
            self.default_face: 16,
            self.batch: 2,
            self.train: 3,
            self.train_once: 12,
            self.cancel: 6,
            self.promote: 5,
            self.roll_back: 2,
            self.read_default: 6,
            self.create_key: 3,
            self.use_key: 16,
            self.revoke_key: 4,
            self.upload: 3,
            self.delete: 2,
            self.read_dataset: 4,
            self.look: 4,
        }
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as http:
            while not self.stop.wait(self.order.uniform(0, LONGEST_PAUSE)):
                server = self.order.choice(list(self.world.urls))
                choice = self.order.choices(
                    list(self.choices), weights=list(self.choices.values())
                )[0]
                request = choice()
                if request is not None:
                    self.history.append(self.send(http, server, request))

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
        subject = str(answer) if request.kind == "key.create" else request.subject
        return Operation(
            self.number, server, request.kind, subject, start, end,
            response.status_code, value, answer,
        )  # fmt: skip

    def _expected(self, request: Request, version: str) -> Any:
        """The bytes that a face must have."""
        seeds, _, model = request.subject.partition("@")
        faces = [self.world.references.face(version, seed, model) for seed in seeds.split(",")]
        return faces if request.kind == "batch" else faces[0]

    # Requests. None where there is nothing to choose from yet.

    def _face(self, model: str) -> Request:
        seed = str(self.order.randrange(SEEDS))
        parameters = {**LOOK, "seed": seed, "model": model}
        return Request(
            "face", "GET", "/avatar", f"{seed}@{model}", read=_face, options={"params": parameters}
        )

    def pinned_face(self) -> Request:
        return self._face(self.order.choice(self.world.versions))

    def default_face(self) -> Request:
        return self._face("default")

    def batch(self) -> Request:
        version = self.order.choice(self.world.versions)
        seeds = [str(self.order.randrange(SEEDS)) for _ in range(3)]
        body = {**LOOK, "size": int(LOOK["size"]), "seeds": seeds, "model": version}
        options = {
            "json": body,
            "headers": {"Accept": "application/x-ndjson", "Authorization": f"Bearer {KEY}"},
        }
        subject = f"{','.join(seeds)}@{version}"
        return Request("batch", "POST", "/avatars", subject, read=_batch, options=options)

    def train(self) -> Request:
        label = f"run-{self.round}-{next(self.world.labels)}"
        return self._train(label, LENGTHS[0], "", {})

    def train_once(self) -> Request:
        key = f"{self.round}/{self.order.randrange(IDEMPOTENCY_KEYS)}"
        return self._train(key, self.order.choice(LENGTHS), key, {"Idempotency-Key": key})

    def _train(self, label: str, images: int, key: str, headers: dict[str, str]) -> Request:
        options = {
            "params": {"name": label},
            "json": {"preset": "smoke", "images": images, "sliders": False},
            "headers": {"Authorization": f"Bearer {KEY}", **headers},
        }
        value = str(images) if key else label
        return Request("train", "POST", "/train", key, value, self._keep_run, options)

    def _keep_run(self, response: httpx.Response) -> str:
        run = str(response.json()["id"])
        self.world.runs.append(run)
        return run

    def cancel(self) -> Request | None:
        if not self.world.runs:
            return None
        run = self.order.choice(self.world.runs)
        return Request(
            "cancel", "POST", f"/train/{run}/cancel", run, read=lambda one: one.json()["state"]
        )

    def promote(self) -> Request:
        version = self.order.choice(self.world.versions)
        path = f"/models/{version}/promote?force=true"
        return Request("promote", "POST", path, value=version, read=_version)

    def roll_back(self) -> Request:
        return Request("roll_back", "POST", "/models/rollback", read=_version)

    def read_default(self) -> Request:
        return Request(
            "read_default", "GET", "/models", read=lambda one: one.json()["aliases"]["default"]
        )

    def create_key(self) -> Request:
        options = {"json": {"name": "ours", "scopes": ["read"]}}
        return Request("key.create", "POST", "/keys", read=self._keep_key, options=options)

    def _keep_key(self, response: httpx.Response) -> str:
        body = response.json()
        self.world.keys.append((body["id"], body["key"]))
        return str(body["id"])

    def use_key(self) -> Request | None:
        if not self.world.keys:
            return None
        id, secret = self.order.choice(self.world.keys[-NEWEST_KEYS:])
        options = {"headers": {"Authorization": f"Bearer {secret}"}}
        return Request("key.use", "GET", "/train?limit=1", id, options=options)

    def revoke_key(self) -> Request | None:
        if not self.world.keys:
            return None
        id, _ = self.order.choice(self.world.keys[-NEWEST_KEYS:])
        return Request("key.revoke", "DELETE", f"/keys/{id}", id)

    def upload(self) -> Request:
        name, digest = self.order.choice(NAMES), self.order.choice(list(self.world.archives))
        options = {"content": self.world.archives[digest]}
        path = f"/datasets?name={name}&licence=CC0-1.0"
        return Request("dataset.upload", "POST", path, name, digest, options=options)

    def delete(self) -> Request:
        name = self.order.choice(NAMES)
        return Request("dataset.delete", "DELETE", f"/datasets/{name}", name)

    def read_dataset(self) -> Request:
        name = self.order.choice(NAMES)
        return Request(
            "dataset.read", "GET", "/datasets", name, read=lambda one: _digest(one, name)
        )

    def look(self) -> Request:
        return Request("look", "GET", self.order.choice(PAGES))


def _version(response: httpx.Response) -> str:
    return str(response.json()["version"])


def _digest(response: httpx.Response, name: str) -> str:
    rows = {row["name"]: row["digest"] for row in response.json()["datasets"]}
    return str(rows.get(name, ""))


def _face(response: httpx.Response) -> dict[str, str]:
    digest = hashlib.sha256(response.content).hexdigest()
    return {"version": response.headers["x-avatar-model"], "bytes": digest}


def _batch(response: httpx.Response) -> dict[str, Any]:

    rows = [json.loads(line) for line in response.text.splitlines()]
    faces = [hashlib.sha256(base64.b64decode(row["content"])).hexdigest() for row in rows]
    return {"version": response.headers["x-avatar-model"], "bytes": faces}
