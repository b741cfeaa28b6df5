"""The requests that clients send, each with what its record needs."""

import base64
import hashlib
import io
import itertools
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image

from tests.adversary.cluster import KEY
from tests.adversary.references import LOOK, References


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
    """The state that all clients share. keys: each id with its secret, the oldest first."""

    urls: dict[str, str]
    references: References
    versions: list[str]
    archives: dict[str, bytes] = field(default_factory=make_archives)
    keys: dict[str, str] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
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


class Requests:
    """Makes requests; what their answers name is added to the world."""

    def __init__(self, world: World) -> None:
        self.world = world

    def face(self, seed: str, model: str) -> Request:
        parameters = {**LOOK, "seed": seed, "model": model}
        return Request(
            "face", "GET", "/avatar", f"{seed}@{model}", read=_face, options={"params": parameters}
        )

    def batch(self, seeds: Sequence[str], version: str) -> Request:
        body = {**LOOK, "size": int(LOOK["size"]), "seeds": list(seeds), "model": version}
        options = {
            "json": body,
            "headers": {"Accept": "application/x-ndjson", "Authorization": f"Bearer {KEY}"},
        }
        subject = f"{','.join(seeds)}@{version}"
        return Request("batch", "POST", "/avatars", subject, read=_batch, options=options)

    def train(self, label: str, images: int) -> Request:
        return self._train(label, images, "", {})

    def train_once(self, key: str, images: int) -> Request:
        """A run under an idempotency key."""
        return self._train(key, images, key, {"Idempotency-Key": key})

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

    def cancel(self, run: str) -> Request:
        return Request("cancel", "POST", f"/train/{run}/cancel", run, read=_state)

    def promote(self, version: str) -> Request:
        path = f"/models/{version}/promote?force=true"
        return Request("promote", "POST", path, value=version, read=_version)

    def roll_back(self) -> Request:
        return Request("roll_back", "POST", "/models/rollback", read=_version)

    def read_default(self) -> Request:
        return Request("read_default", "GET", "/models", read=_default)

    def create_key(self) -> Request:
        options = {"json": {"name": "ours", "scopes": ["read"]}}
        return Request("key.create", "POST", "/keys", read=self._keep_key, options=options)

    def _keep_key(self, response: httpx.Response) -> str:
        body = response.json()
        self.world.keys[body["id"]] = body["key"]
        return str(body["id"])

    def use_key(self, id: str) -> Request:
        options = {"headers": {"Authorization": f"Bearer {self.world.keys[id]}"}}
        return Request("key.use", "GET", "/train?limit=1", id, options=options)

    def revoke_key(self, id: str) -> Request:
        self.world.revoked.add(id)
        return Request("key.revoke", "DELETE", f"/keys/{id}", id)

    def upload(self, name: str, digest: str) -> Request:
        options = {"content": self.world.archives[digest]}
        path = f"/datasets?name={name}&licence=CC0-1.0"
        return Request("dataset.upload", "POST", path, name, digest, options=options)

    def delete(self, name: str) -> Request:
        return Request("dataset.delete", "DELETE", f"/datasets/{name}", name)

    def read_dataset(self, name: str) -> Request:
        def read(response: httpx.Response) -> str:
            return _digest(response, name)

        return Request("dataset.read", "GET", "/datasets", name, read=read)

    def look(self, page: str) -> Request:
        return Request("look", "GET", page)


def _state(response: httpx.Response) -> str:
    return str(response.json()["state"])


def _version(response: httpx.Response) -> str:
    return str(response.json()["version"])


def _default(response: httpx.Response) -> str:
    return str(response.json()["aliases"]["default"])


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
