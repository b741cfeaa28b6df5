"""Webhooks: signed, retried, replayable, none lost, and none to a private network."""

import base64
import contextlib
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from models import runs, webhooks
from models.database import tables
from models.database.tables import deliveries
from models.errors import UnknownWebhook
from models.settings import Settings
from tests.support.fixtures import Begin
from tests.support.receiver import Receiver
from worker import webhooks as worker_webhooks
from worker.webhooks import Deliverer, ForbiddenAddressError, resolve


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on this machine."""
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def deliverer(engine: sa.Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Deliverer:
    """A worker's part that may post to this machine, and finds no receiver slow."""
    monkeypatch.setattr(worker_webhooks, "SLOW", 60.0)
    return Deliverer(settings.model_copy(update={"webhooks_private": True}), engine)


def make_due(engine: sa.Engine) -> None:
    """Let the time of every next attempt come."""
    with engine.begin() as db:
        db.execute(sa.update(deliveries).values(due=0.0))


def test_an_event_is_posted_with_a_signature(
    engine: sa.Engine, receiver: Receiver, deliverer: Deliverer, begin: Begin
) -> None:
    hook = webhooks.create(engine, receiver.url, ["run.started", "run.failed"])
    run, _ = begin("failed")
    assert deliverer.deliver_due() == 2
    bodies = [json.loads(body) for _, body in receiver.requests]
    assert [body["type"] for body in bodies] == ["run.started", "run.failed"]
    assert bodies[1]["data"] == {"run": run, "number": 3, "error": "planted"}
    headers, body = receiver.requests[0]
    key = base64.b64decode(hook["secret"].removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["host"] == receiver.url.split("/")[2]
    assert deliverer.deliver_due() == 0
    states = {row["state"] for row in webhooks.list_deliveries(engine, hook["id"])}
    assert states == {"delivered"}


@pytest.mark.parametrize(
    ("state", "data"),
    [
        pytest.param("succeeded", {"number": 3, "version": "0" * 64}, id="succeeded"),
        pytest.param("cancelled", {"number": 2}, id="cancelled"),
    ],
)
def test_the_end_of_a_run_is_posted(
    engine: sa.Engine,
    receiver: Receiver,
    deliverer: Deliverer,
    begin: Begin,
    state: str,
    data: dict[str, Any],
) -> None:
    webhooks.create(engine, receiver.url, [f"run.{state}"])
    run, _ = begin(state)
    assert deliverer.deliver_due() == 1
    ((_, body),) = receiver.requests
    fields = json.loads(body)
    assert (fields["type"], fields["data"]) == (f"run.{state}", {"run": run, **data})


@pytest.mark.parametrize("status", [500, 404, 302])
def test_a_refused_delivery_is_repeated_with_longer_pauses(
    engine: sa.Engine, receiver: Receiver, deliverer: Deliverer, begin: Begin, status: int
) -> None:
    hook = webhooks.create(engine, receiver.url, ["run.queued"])
    begin("queued")
    receiver.status = status
    assert list(webhooks.DELAYS) == sorted(set(webhooks.DELAYS))
    for attempt, pause in enumerate((*webhooks.DELAYS, None), 1):
        start = time.time()
        assert deliverer.deliver_due() == 1
        assert deliverer.deliver_due() == 0  # not again before its time
        (row,) = webhooks.list_deliveries(engine, hook["id"])
        if pause is not None:
            assert start + pause <= row["due"] <= time.time() + pause
        assert (row["attempts"], row["status"]) == (attempt, status)
        assert row["state"] == ("failed" if attempt > len(webhooks.DELAYS) else "pending")
        make_due(engine)
    assert deliverer.deliver_due() == 0
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 1
    receiver.status = 200
    webhooks.replay(engine, hook["id"], row["number"])
    assert deliverer.deliver_due() == 1
    (row,) = webhooks.list_deliveries(engine, hook["id"])
    assert (row["state"], row["error"]) == ("delivered", None)


def test_an_event_that_is_rolled_back_is_not_delivered(engine: sa.Engine, begin: Begin) -> None:
    hook = webhooks.create(engine, "https://example.com/", list(webhooks.TYPES))

    def fail() -> None:
        with engine.begin() as db:
            webhooks.enqueue(db, "alias.moved", {})
            raise RuntimeError("planted")

    with pytest.raises(RuntimeError):
        fail()
    assert webhooks.list_deliveries(engine, hook["id"]) == []


def test_a_replay_during_an_attempt_is_sent(engine: sa.Engine, begin: Begin) -> None:
    hook = webhooks.create(engine, "https://example.com/", ["run.queued"])
    begin("queued")
    for _ in range(len(webhooks.DELAYS) + 1):
        make_due(engine)
        delivery = webhooks.claim(engine)
    assert delivery is not None
    webhooks.replay(engine, hook["id"], delivery["number"])
    webhooks.record_outcome(engine, delivery, 500, "HTTP 500")
    (row,) = webhooks.list_deliveries(engine, hook["id"])
    assert (row["state"], row["attempts"]) == ("pending", 0)
    assert webhooks.claim(engine) is not None


def test_one_delivery_has_one_worker_until_its_claim_is_over(
    engine: sa.Engine, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhooks.create(engine, "https://example.com/", ["run.queued"])
    begin("queued")
    assert webhooks.claim(engine) is not None
    assert webhooks.claim(engine) is None
    make_due(engine)  # the worker died
    again = webhooks.claim(engine)
    assert again is not None
    assert again["attempts"] == 2


@pytest.mark.parametrize(
    ("seconds", "is_claimed"), [(366 * 86400.0, True), (webhooks.DELAYS[-1] - 60, False)]
)
def test_a_clock_that_is_set_back_delays_no_delivery_for_longer_than_any_pause(
    engine: sa.Engine, begin: Begin, seconds: float, is_claimed: bool
) -> None:
    webhooks.create(engine, "https://example.com/", ["run.queued"])
    begin("queued")
    with engine.begin() as db:
        db.execute(sa.update(deliveries).values(due=time.time() + seconds))
    assert (webhooks.claim(engine) is not None) is is_claimed


def test_a_deleted_webhook_gets_nothing(
    engine: sa.Engine, receiver: Receiver, deliverer: Deliverer, begin: Begin
) -> None:
    hook = webhooks.create(engine, receiver.url, ["run.queued"])
    begin("queued")
    webhooks.delete(engine, hook["id"])
    begin("queued")
    assert deliverer.deliver_due() == 0
    assert receiver.requests == []
    with pytest.raises(UnknownWebhook):
        webhooks.list_deliveries(engine, hook["id"])


ADDRESSES = ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "::1", "fd00::1"]
ADDRESSES += ["::ffff:10.0.0.1", "64:ff9b::7f00:1", "0.0.0.0", "100.64.0.1", "224.0.0.1"]
# IPv4 within IPv6: 6to4, compatible, translated, a local NAT64 prefix; and site-local.
ADDRESSES += ["2002:7f00:1::", "2002:c0a8:101::1", "::127.0.0.1", "::ffff:0:127.0.0.1"]
ADDRESSES += ["64:ff9b:1::7f00:1", "fec0::1", "ff02::1"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    def look_up(*_: object, **__: object) -> list[Any]:
        return [(0, 0, 0, "", ("93.184.215.14", 80)), (0, 0, 0, "", (address, 80))]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    with pytest.raises(ForbiddenAddressError, match="KAO_WEBHOOKS_PRIVATE"):
        resolve("http://rebinding.example/", allows_private=False)
    assert resolve("http://rebinding.example/", allows_private=True)


def test_an_event_that_was_stored_beside_a_deletion_is_not_posted(
    engine: sa.Engine, receiver: Receiver, deliverer: Deliverer
) -> None:
    """PostgreSQL lets a transaction read a webhook that another one is deleting."""
    hook = webhooks.create(engine, receiver.url, ["run.failed"])
    webhooks.enqueue_test(engine, hook["id"])
    with engine.begin() as db:
        db.execute(sa.update(tables.webhooks).values(deleted="now"))
    assert deliverer.deliver_due() == 0


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_a_public_address_is_used(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(0, 0, 0, "", (address, 80))])
    assert resolve("http://receiver.example/", allows_private=False) == address


def test_a_receiver_on_this_machine_gets_nothing_unless_allowed(
    engine: sa.Engine, settings: Settings, receiver: Receiver, begin: Begin
) -> None:
    hook = webhooks.create(engine, receiver.url, ["run.queued"])
    begin("queued")
    Deliverer(settings, engine).deliver_due()
    assert receiver.requests == []
    (row,) = webhooks.list_deliveries(engine, hook["id"])
    assert "private network" in row["error"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    engine: sa.Engine, receiver: Receiver, deliverer: Deliverer, begin: Begin, status: int
) -> None:
    """It could lead to a private network, which was checked for the first address alone."""
    receiver.status = status
    hook = webhooks.create(engine, receiver.url, ["run.queued"])
    begin("queued")
    deliverer.deliver_due()
    assert len(receiver.requests) == 1
    (row,) = webhooks.list_deliveries(engine, hook["id"])
    assert (row["state"], row["status"]) == ("pending", status)


def test_a_name_is_looked_up_once(
    engine: sa.Engine,
    receiver: Receiver,
    deliverer: Deliverer,
    begin: Begin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second answer could be another address than the one that was checked (DNS rebinding)."""
    port, look_up = receiver.server.server_port, socket.getaddrinfo
    names: list[str] = []

    def look_up_once(name: str, *arguments: Any, **options: Any) -> Any:
        if name != "rebinding.example":
            return look_up(name, *arguments, **options)
        names.append(name)
        address = "127.0.0.1" if len(names) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr("socket.getaddrinfo", look_up_once)
    webhooks.create(engine, f"http://rebinding.example:{port}/hook", ["run.queued"])
    begin("queued")
    deliverer.deliver_due()
    ((headers, _),) = receiver.requests
    assert headers["host"] == f"rebinding.example:{port}"
    assert len(names) == 1


def test_every_type_is_an_event() -> None:
    moves = {f"run.{target}" for _, target in runs.MOVES.values()} - {"run.running"}
    assert {name for name in webhooks.TYPES if name.startswith("run.")} <= moves | {"run.started"}


@pytest.fixture
def dripping() -> Iterator[str]:
    """The address of a receiver whose headers never end: a byte every 10 ms."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        delivery_ended = threading.Event()

        def answer() -> None:
            with contextlib.suppress(OSError), server.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not delivery_ended.wait(0.01):
                    connection.sendall(b"x")

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        delivery_ended.set()
        thread.join()


@pytest.mark.timeout(60)
def test_a_receiver_that_never_ends_its_answer_is_given_up(
    engine: sa.Engine,
    deliverer: Deliverer,
    begin: Begin,
    dripping: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_webhooks, "DEADLINE", 0.5)
    hook = webhooks.create(engine, dripping, ["run.queued"])
    begin("queued")
    assert deliverer.deliver_due() == 1
    (row,) = webhooks.list_deliveries(engine, hook["id"])
    assert (row["state"], row["attempts"]) == ("pending", 1)
    assert row["error"] == "The receiver did not answer within 0.5 seconds."


def test_a_receiver_that_fails_takes_no_turn_of_the_others(
    engine: sa.Engine,
    receiver: Receiver,
    deliverer: Deliverer,
    begin: Begin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unreachable_webhook = webhooks.create(engine, "http://127.0.0.1:1/", ["run.queued"])
    for _ in range(3):
        begin("queued")
    webhooks.create(engine, receiver.url, ["run.queued"])
    begin("queued")
    assert deliverer.deliver_due() == 2
    assert len(receiver.requests) == 1
    attempts = [
        row["attempts"] for row in webhooks.list_deliveries(engine, unreachable_webhook["id"])
    ]
    assert sorted(attempts) == [0, 0, 0, 1]
