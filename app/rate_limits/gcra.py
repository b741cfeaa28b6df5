"""How much somebody may ask for in a time: the generic cell rate algorithm (ITU-T I.371).

It is a bucket that leaks evenly, kept as one number: the time at which all of a quota is back. A
library's buckets (limits 5.8, in memory) took 1.2 ms a hit beside 14,000 other addresses, a third
of what a face costs; this takes a microsecond beside any number.
"""

import math
import time
from collections import OrderedDict
from dataclasses import dataclass

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
MOST = 100_000  # of whom a server keeps account, about 20 MB; whoever asked longest ago goes first


@dataclass(frozen=True)
class Policy:
    """So many units in so many seconds, all of them at once if need be."""

    name: str
    quota: int
    window: int

    @classmethod
    def read(cls, name: str, text: str) -> "Policy | None":
        """`600/minute`; None for `none`."""
        if text == "none":
            return None
        quota, _, unit = text.partition("/")
        return cls(name, int(quota), SECONDS[unit])

    @property
    def described(self) -> str:
        """The RateLimit-Policy header (draft-ietf-httpapi-ratelimit-headers-10 §3)."""
        return f'"{self.name}";q={self.quota};w={self.window}'


@dataclass(frozen=True)
class Verdict:
    """Whether it may be, and what is left. `busy`: seconds until all of the quota is back."""

    policy: Policy
    allowed: bool
    busy: float

    @property
    def remaining(self) -> int:
        """Units that may be asked for now."""
        free = self.policy.window - self.busy
        # A rounding error must not take the last unit away.
        return max(0, math.floor(free * self.policy.quota / self.policy.window + 1e-6))

    def headers(self) -> dict[str, str]:
        """`RateLimit` and `RateLimit-Policy`, as the draft has them (§4)."""
        told = f'"{self.policy.name}";r={self.remaining};t={math.ceil(max(0.0, self.busy))}'
        return {"RateLimit": told, "RateLimit-Policy": self.policy.described}


class Buckets:
    """What each has asked for, in this process."""

    def __init__(self) -> None:
        self._full: OrderedDict[tuple[str, str], float] = OrderedDict()

    def take(self, policy: Policy, who: str, cost: int) -> Verdict:
        """Count `cost` units, 1 to the quota; a refusal counts nothing."""
        now, name = time.monotonic(), (policy.name, who)
        before = max(0.0, self._full.get(name, now) - now)
        busy = before + cost * policy.window / policy.quota
        if busy > policy.window + 1e-6:
            return Verdict(policy, False, before)
        self._full[name] = now + busy
        self._full.move_to_end(name)
        if len(self._full) > MOST:
            self._full.popitem(last=False)
        return Verdict(policy, True, busy)
