"""What happens in a round and when, all of it drawn from a seed before the round begins."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tests.adversary.cluster import APPS, WORKERS, Mode

Kind = Literal[
    "delay", "cut", "half-open", "partition", "kill", "pause", "clock", "full", "broken", "damage"
]
GAP = 4.0  # s between two faults, on average
SHORTEST, LONGEST = 1.0, 12.0  # s
CLOCK = 3600.0  # s; the largest jump


@dataclass(frozen=True)
class PlannedFault:
    """A fault that begins `at` seconds after the round and lasts for `seconds`.

    amount: seconds of a delay or of a clock's jump; for damage it chooses the byte.
    """

    at: float
    seconds: float
    kind: Kind
    target: str
    amount: float


def targets(mode: Mode) -> dict[Kind, list[str]]:
    """What each kind of fault can strike."""
    hosts = [*APPS, *WORKERS]
    services = ["database", "storage", "queue"] if mode == "postgresql" else ["queue"]
    links = [f"{host}-to-{service}" for host in hosts for service in services]
    links += [f"client-to-{app}" for app in APPS]
    durable = [name for name in services if name != "storage"]  # the stand-in keeps it in memory
    on_links: dict[Kind, list[str]] = dict.fromkeys(
        ("delay", "cut", "half-open", "partition"), links
    )
    return {
        **on_links,
        "kill": [*hosts, "trainer", *durable],
        "pause": [*hosts, "trainer", *services],
        "clock": hosts,
        "full": hosts,
        "broken": hosts,
        "damage": list(APPS),
    }


def plan(
    seed: int, number: int, seconds: float, mode: Mode, kinds: Sequence[str] = ()
) -> list[PlannedFault]:
    """The faults of one round. kinds: only these; all of them without it."""
    order = random.Random(f"{seed}/{number}/faults")
    possible = {kind: names for kind, names in targets(mode).items() if not kinds or kind in kinds}
    faults: list[PlannedFault] = []
    at = order.expovariate(1 / GAP)
    while at < seconds:
        kind = order.choice(list(possible))
        amount = order.uniform(-CLOCK, CLOCK) if kind == "clock" else order.uniform(0.05, 1.0)
        lasts = order.uniform(SHORTEST, LONGEST)
        faults.append(PlannedFault(at, lasts, kind, order.choice(possible[kind]), amount))
        at += order.expovariate(1 / GAP)
    return faults


def client_order(seed: int, number: int, client: int) -> random.Random:
    """The choices of one client in one round."""
    return random.Random(f"{seed}/{number}/client {client}")
