"""The end of a round finds what one server does not notice, without chance."""

import random
import time
from typing import cast

import httpx
import pytest

from tests.adversary.checker import check
from tests.adversary.clients import Client
from tests.adversary.final_phase import FinalPhase
from tests.adversary.history import Operation, Record, Rest
from tests.adversary.references import References
from tests.adversary.requests import Request, World

SERVERS = {"app-a": "http://a", "app-b": "http://b"}
VERSIONS = ["a" * 64, "b" * 64, "c" * 64]
RULES = {
    "old-aliases": "default is not older than its bound",
    "cached-keys": "a key opens doors until it is revoked",
    "skipped-promotions": "no promotion is lost or repeated",
    "split-idempotency-keys": "an idempotency key stands for one run",
    "old-datasets": "no dataset is lost",
}


class SimulatedClient(Client):
    """Answers by itself, as two servers with one database and perhaps one defect would."""

    def __init__(self, defect: str | None, seed: int) -> None:
        world = World(SERVERS, cast(References, None), VERSIONS)
        super().__init__(world, 0, 0, random.Random(seed))
        self.defect, self.promotions = defect, [VERSIONS[0]]
        self.served = dict.fromkeys(SERVERS, VERSIONS[0])
        self.accepted: dict[str, set[str]] = {server: set() for server in SERVERS}
        self.run_ids: dict[tuple[str, str], str] = {}
        self.datasets: dict[str, dict[str, str]] = {server: {} for server in SERVERS}

    def send(self, http: httpx.Client, server: str, request: Request) -> Operation:
        start = time.monotonic()
        status, value, answer = self._answer(server, request)
        subject = answer if request.kind == "key.create" else request.subject
        return Operation(
            0, server, request.kind, str(subject), start, time.monotonic(), status, value, answer
        )

    def _answer(self, server: str, request: Request) -> tuple[int, object, object]:
        match request.kind:
            case "promote":
                return 200, request.value, self._promote(server, str(request.value))
            case "read_default":
                return 200, None, self.promotions[-1]
            case "face":
                return 200, "bytes", {"version": self.served[server], "bytes": "bytes"}
            case "key.create":
                self.world.keys["key"] = "secret"
                return 201, None, "key"
            case "key.revoke":
                return 204, None, None
            case "key.use":
                return self._use(server, request.subject), None, None
            case "train":
                scope = server if self.defect == "split-idempotency-keys" else ""
                key = (scope, request.subject)
                return 202, request.value, self.run_ids.setdefault(key, f"run {len(self.run_ids)}")
            case _:
                return self._change_dataset(server, request)

    def _promote(self, server: str, version: str) -> str:
        if self.defect == "skipped-promotions" and server == "app-a":
            return version
        if version != self.promotions[-1]:
            self.promotions.append(version)
        for each in [server] if self.defect == "old-aliases" else SERVERS:
            self.served[each] = version
        return version

    def _use(self, server: str, key: str) -> int:
        is_cached = self.defect == "cached-keys" and key in self.accepted[server]
        if key in self.world.revoked and not is_cached:
            return 401
        self.accepted[server].add(key)
        return 200

    def _change_dataset(self, server: str, request: Request) -> tuple[int, object, object]:
        rows = self.datasets[server]
        if request.kind == "dataset.read":
            return 200, None, rows.get(request.subject, "")
        for each in [server] if self.defect == "old-datasets" else SERVERS:
            if request.kind == "dataset.upload":
                self.datasets[each][request.subject] = str(request.value)
            else:
                self.datasets[each].pop(request.subject)
        return (201 if request.kind == "dataset.upload" else 204), request.value, None


def broken_rules(defect: str | None, seed: int) -> set[str]:
    client = SimulatedClient(defect, seed)
    before = Rest(time.monotonic() - 1, first=True, promotions=[VERSIONS[0]], versions=VERSIONS)
    phase = FinalPhase(client)
    changes = phase.change()
    faces = phase.read_faces(phase.promoted + 0.02)  # when every server must serve `default`
    records: list[Record] = [before, *changes, *faces]
    return {violation.rule for violation in check(records, staleness=0.01)}


@pytest.mark.parametrize("seed", range(3))
def test_servers_that_notice_every_change_break_no_rule(seed: int) -> None:
    assert broken_rules(None, seed) == set()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("defect", "rule"), RULES.items())
def test_what_one_server_does_not_notice_breaks_its_rule(defect: str, rule: str, seed: int) -> None:
    assert rule in broken_rules(defect, seed)


def test_a_client_reads_what_it_changed_at_every_server() -> None:
    client = SimulatedClient(None, 1)
    client.world.keys["key"] = "secret"
    kinds = {"promote": "read_default", "roll_back": "read_default"}
    kinds |= {"key.create": "key.use", "key.revoke": "key.use"}
    for change, read in kinds.items():
        reads = client.reads_after(Operation(0, "app-a", change, "key", 0.0, 1.0, 200))
        assert sorted(server for server, _ in reads) == sorted(SERVERS)
        assert {request.kind for _, request in reads} == {read}
    assert (
        client.reads_after(Operation(0, "app-a", "key.create", "", 0.0, answer="ReadError")) == []
    )
