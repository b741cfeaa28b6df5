"""The client reads every answer of the server, and follows a run over lost connections."""

import asyncio
import io
import socket
import threading
import time
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx
import pytest
from PIL import Image
from starlette.requests import Request

from app.client import pictures, requests
from app.client.client import AsyncClient, Client, Event, _EventReader
from app.client.requests import Call
from app.state import AppState
from app.training import events
from models import runs
from models.recipes.recipe import resolve
from models.registry import Registry
from models.settings import Settings
from tests.app.conftest import Start

T = TypeVar("T")


class Sender(Protocol):
    """A client that is opened for each call."""

    key: str | None

    def __init__(self, key: str | None) -> None: ...

    def send(self, url: str, call: Call[T]) -> T: ...

    def follow(self, url: str, run: str, **options: Any) -> list[Event]: ...


class SyncSender:
    """`Client` as a Sender."""

    def __init__(self, key: str | None) -> None:
        self.key = key

    def send(self, url: str, call: Call[T]) -> T:
        with Client(url, self.key, trust_env=False) as kao:
            return kao.send(call)

    def follow(self, url: str, run: str, **options: Any) -> list[Event]:
        with Client(url, self.key, trust_env=False) as kao:
            return list(kao.follow(run, **options))


class AsyncSender:
    """`AsyncClient` as a Sender."""

    def __init__(self, key: str | None) -> None:
        self.key = key

    def send(self, url: str, call: Call[T]) -> T:
        async def send() -> T:
            async with AsyncClient(url, self.key, trust_env=False) as kao:
                return await kao.send(call)

        return asyncio.run(send())

    def follow(self, url: str, run: str, **options: Any) -> list[Event]:
        async def follow() -> list[Event]:
            async with AsyncClient(url, self.key, trust_env=False) as kao:
                return [event async for event in kao.follow(run, **options)]

        return asyncio.run(follow())


@pytest.fixture(params=[SyncSender, AsyncSender], ids=["sync", "async"])
def kao(request: pytest.FixtureRequest, settings: Settings) -> Sender:
    """Either client, with the first key."""
    sender: Sender = request.param(settings.api_key)
    return sender


@pytest.fixture
def url(start: Start, registry: Registry) -> str:
    """The URL of a running app."""
    return start().url


@pytest.fixture
def run(registry: Registry) -> str:
    """The id of a queued run."""
    row, _ = runs.create(registry.engine, resolve({"preset": "smoke"}), {"preset": "smoke"})
    return str(row["id"])


def test_a_face_says_what_it_is(kao: Sender, url: str, versions: list[str]) -> None:
    face = kao.send(
        url, pictures.avatar("顔 & 1", size=64, format="webp", model="default", psi=0.5)
    )
    assert (face.seed, face.model, face.media_type) == ("顔 & 1", versions[0], "image/webp")
    assert Image.open(io.BytesIO(face.content)).size == (64, 64)
    random = kao.send(url, pictures.avatar())
    assert kao.send(url, pictures.avatar(random.seed)).content == random.content


TEAM = {"a,b": 2, "c:1": 0.5}
PICTURES: list[tuple[Call[Any], str]] = [
    (
        pictures.avatar("a", psi=1e-5, variant=3, format="png"),
        "/avatar?seed=a&psi=0.00001&variant=3",
    ),
    (pictures.morph("a", "b", 0.5, size=32), "/morph?from=a&to=b&t=0.5&size=32"),
    (pictures.morph("a", "b", frames=3, fps=9.5), "/morph?from=a&to=b&frames=3&fps=9.5"),
    (
        pictures.walk("a", 2, frames=4, size=16, format="gif"),
        "/walk?seed=a&stops=2&frames=4&size=16&format=gif",
    ),
    (pictures.mix("a", "b", 1, shape="circle"), "/mix?coarse=a&fine=b&at=1&shape=circle"),
    (pictures.blend(TEAM), "/blend?seeds=a%252Cb:2,c%253A1:0.5"),
    (pictures.family(("a,b", "c"), 2, gap=3), "/family?parents=a%252Cb,c&children=2&gap=3"),
    (pictures.family(("a", "b"), child=1), "/family?parents=a,b&child=1"),
    (pictures.sheet(["a", ","], columns=1), "/sheet?seeds=a,%252C&columns=1"),
    (pictures.sheet(count=3, start=5, dpr=2), "/sheet?count=3&start=5&dpr=2"),
    (pictures.og("a", shape="rounded"), "/og?seed=a&shape=rounded"),
]


def test_a_picture_is_the_one_of_its_address(kao: Sender, url: str, http: httpx.Client) -> None:
    for call, address in PICTURES:
        picture, plain = kao.send(url, call), http.get(url + address)
        assert picture.content == plain.content, address
        assert picture.media_type == plain.headers["content-type"]
        assert picture.model == plain.headers["x-avatar-model"]


def test_a_batch_comes_as_its_members(kao: Sender, url: str, http: httpx.Client) -> None:
    members = kao.send(url, pictures.avatars(["a", "顔", "a"], distinct=True, size=32))
    assert [member.seed for member in members] == ["a", "顔", "a"]
    assert members[0].variant == 0 != members[2].variant
    for member in members:
        assert http.get(url + member.address).content == member.content


def test_traits_are_sent_as_parameters(kao: Sender, url: str) -> None:
    with pytest.raises(requests.Refused, match="this model has no traits"):
        kao.send(url, pictures.avatar("a", traits={"hair_colour": "pink"}))


def test_a_run_is_started_read_cancelled_and_resumed(kao: Sender, url: str) -> None:
    run = kao.send(url, requests.train("a key", preset="smoke", images=64))
    assert (run.state, run.recipe["images"]) == ("queued", 64)
    assert kao.send(url, requests.train("a key", preset="smoke", images=64)).id == run.id
    assert kao.send(url, requests.run(run.id)) == run
    assert kao.send(url, requests.cancel(run.id)).state == "cancelled"
    assert [row.id for row in kao.send(url, requests.runs("cancelled", 5)).runs] == [run.id]
    assert kao.send(url, requests.runs("running")).runs == []
    assert kao.send(url, requests.resume(run.id)).state == "queued"


def test_models_are_listed_promoted_and_rolled_back(
    kao: Sender, url: str, versions: list[str]
) -> None:
    assert {row.version for row in kao.send(url, requests.models()).models} == set(versions)
    assert kao.send(url, requests.model("default")).card["format"] == 1
    assert kao.send(url, requests.promote(versions[1])).version == versions[1]
    assert kao.send(url, pictures.avatar("1")).model == versions[1]
    assert kao.send(url, requests.roll_back()).version == versions[0]


def test_a_key_is_made_used_and_revoked(kao: Sender, url: str) -> None:
    new_key = kao.send(url, requests.create_key("ci", "read", "train"))
    assert new_key.scopes == ["read", "train"]
    other = type(kao)(new_key.key)
    assert other.send(url, requests.runs()).runs == []
    kao.send(url, requests.revoke_key(new_key.id))
    with pytest.raises(requests.Refused) as refusal:
        other.send(url, requests.runs())
    assert refusal.value.status == 401
    revocations = {key.id: key.revoked for key in kao.send(url, requests.keys()).keys}
    assert revocations[new_key.id] is not None


def test_an_address_is_signed_where_pictures_are_not_open(
    kao: Sender, start: Start, registry: Registry, http: httpx.Client
) -> None:
    private = start(public_avatars=False).url
    address = kao.send(private, requests.sign("/avatar?seed=42", seconds=60)).url
    assert http.get(f"{private}/avatar?seed=42").status_code == 401
    assert http.get(private + address).status_code == 200


def test_a_set_of_pictures_is_sent_listed_and_forgotten(
    kao: Sender, url: str, tmp_path: Path
) -> None:
    file = tmp_path / "faces.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(12):
            picture = io.BytesIO()
            Image.new("RGB", (40, 40), (number * 20, 90, 9)).save(picture, "PNG")
            archive.writestr(f"{number}.png", picture.getvalue())
    assert kao.send(url, requests.upload("mine", file, "CC0-1.0")).images == 12
    names = [row.name for row in kao.send(url, requests.datasets()).datasets]
    assert names == ["starter", "mine"]
    kao.send(url, requests.delete("mine"))
    assert len(kao.send(url, requests.datasets()).datasets) == 1


@pytest.mark.parametrize(
    ("call", "status", "type"),
    [
        pytest.param(pictures.avatar("1", size=0), 422, "invalid-parameter", id="parameter"),
        pytest.param(requests.model("nobody"), 404, "unknown-model", id="unknown"),
        pytest.param(requests.run("../models"), 404, "not-found", id="a-path-stays-one-part"),
        pytest.param(requests.delete("starter"), 422, "unusable-dataset", id="starter"),
    ],
)
def test_a_refusal_is_an_error_with_the_problem(
    kao: Sender, url: str, call: Call[Any], status: int, type: str
) -> None:
    with pytest.raises(requests.Refused) as refusal:
        kao.send(url, call)
    assert (refusal.value.status, refusal.value.type) == (status, type)
    assert str(refusal.value) == refusal.value.problem["detail"]


def test_a_run_cannot_be_followed_without_a_key(kao: Sender, url: str, run: str) -> None:
    kao.key = None
    with pytest.raises(requests.Refused, match="API key"):
        kao.follow(url, run)


def _work(registry: Registry, run: str, steps: int) -> None:
    """Write the events of a run as a worker does."""
    claim = runs.claim(registry.engine, run)
    assert claim is not None
    fence = claim[1]
    for step in range(steps):
        runs.record(registry.engine, run, fence, "run.progressed", {"step": step}, True)
    runs.finish(registry.engine, run, fence, "fail", error="planted")


def test_a_run_is_followed_to_its_end(kao: Sender, url: str, registry: Registry, run: str) -> None:
    worker = threading.Thread(target=_work, args=(registry, run, 3))
    worker.start()
    events = kao.follow(url, run)
    worker.join()
    types = ["run.queued", "run.started", *["run.progressed"] * 3, "run.failed"]
    assert [event.type for event in events] == types
    assert [event.number for event in events] == list(range(1, 7))
    assert events[3].data["step"] == 1
    assert kao.follow(url, run, after=4) == events[4:]


def test_each_event_comes_once_although_every_connection_breaks(
    kao: Sender, url: str, registry: Registry, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _work(registry, run, 4)
    stream = events._stream
    breaks: list[int] = []

    async def broken(
        state: AppState, request: Request, run: str, number: int
    ) -> AsyncIterator[bytes]:
        # Break after one event and half of the next, as when a proxy restarts.
        pieces = [piece async for piece in stream(state, request, run, number)]
        yield pieces[0]
        if len(pieces) > 1:
            breaks.append(number)
            yield pieces[1][: len(pieces[1]) // 2]
            raise ConnectionResetError

    monkeypatch.setattr(events, "_stream", broken)
    assert [event.number for event in kao.follow(url, run)] == [1, 2, 3, 4, 5, 6, 7]
    assert len(breaks) == 6


def test_a_client_waits_for_a_server_that_restarts(
    kao: Sender,
    start: Start,
    registry: Registry,
    run: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = start()
    _work(registry, run, 2)
    port = int(first.url.rsplit(":", 1)[1])
    first.stop()
    while _is_reachable(port):
        time.sleep(0.05)
    has_failed = threading.Event()  # the client tried to connect, in vain
    pause = _EventReader.pause

    def note_failure(reader: _EventReader, error: Exception | None) -> float:
        if error is not None:
            has_failed.set()
        return pause(reader, error)

    monkeypatch.setattr(_EventReader, "pause", note_failure)

    def restart() -> None:
        assert has_failed.wait(30)
        start(port)

    restarting = threading.Thread(target=restart)
    restarting.start()
    assert len(kao.follow(first.url, run, patience=60)) == 5
    restarting.join()


def test_an_unreachable_server_is_an_error_after_a_while(kao: Sender) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(httpx.ConnectError):
        kao.follow(f"http://127.0.0.1:{port}", "0" * 16, patience=0.3)


def _is_reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
