"""The same account for several servers, in Redis, without asking it for each request.

A server takes a twentieth of a quota at a time and gives it out by itself, so that a face does
not wait for Redis: one round trip in 300 for 6,000 a minute. A refusal is remembered for as long
as it must last. While Redis does not answer, each server counts alone: a limit that is too wide
for a while is better than a face that fails.
"""

import asyncio
import math
import time
from collections import OrderedDict
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.rate_limits.gcra import MOST, Buckets, Policy, Verdict

log = structlog.get_logger()

SHARES = 20  # parts in which a quota is taken; what one server took, others cannot give out
TIMEOUT = 0.25  # s; what waits when Redis hangs waits for so long, what comes later does not
ALONE = 5.0  # s until Redis is asked again

# `Buckets.take` by Redis's own clock, so that the servers' clocks do not matter.
TAKE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local window, step = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(redis.call('GET', KEYS[1]) or now)
local before = math.max(0, full - now)
local busy = before + step
if busy > window + 0.000001 then return {0, tostring(before)} end
redis.call('SET', KEYS[1], string.format('%.6f', now + busy), 'PX', math.ceil(busy * 1000))
return {1, tostring(busy)}
"""


@dataclass
class _Account:
    """What this server has of somebody's quota, and what Redis said last, by our clock."""

    units: int = 0  # taken from Redis and not given out
    ends: float = 0.0  # when they lapse
    full: float = 0.0  # when all of the quota is back
    refused: float = math.inf  # the least cost that was refused
    again: float = 0.0  # when it may be asked for again


class Shared:
    """As `Buckets`, across servers. Its methods belong to one event loop."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(
            url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
        )
        self._script = self._redis.register_script(TAKE)
        self._alone, self._until = Buckets(), 0.0
        # One at a time: of many who wait, the first brings the units for the others.
        self._asking = asyncio.Lock()
        self._accounts: OrderedDict[tuple[str, str], _Account] = OrderedDict()

    async def take(self, policy: Policy, who: str, cost: int) -> Verdict:
        """Count `cost` units, 1 to the quota; never fails."""
        account = self._account(policy, who)
        if (verdict := _at_once(policy, account, cost)) is not None:
            return verdict
        async with self._asking:
            return _at_once(policy, account, cost) or await self._more(policy, who, account, cost)

    def _account(self, policy: Policy, who: str) -> _Account:
        account = self._accounts.setdefault((policy.name, who), _Account())
        self._accounts.move_to_end((policy.name, who))
        if len(self._accounts) > MOST:
            self._accounts.popitem(last=False)
        return account

    async def _more(self, policy: Policy, who: str, account: _Account, cost: int) -> Verdict:
        """A share if there is one, else what is needed, else a refusal to remember."""
        if time.monotonic() > account.ends:
            account.units = 0
        need = cost - account.units
        for units in sorted({need, max(need, policy.quota // SHARES)}, reverse=True):
            said = await self._ask(policy, who, units)
            now = time.monotonic()
            account.full = now + said.busy
            if said.allowed:
                account.units += units - cost
                account.ends, account.refused = now + policy.window, math.inf
                return _verdict(policy, account, True)
        wait = said.busy + need * policy.window / policy.quota - policy.window
        account.refused, account.again = cost, now + wait
        return _verdict(policy, account, False)

    async def _ask(self, policy: Policy, who: str, units: int) -> Verdict:
        if time.monotonic() < self._until:
            return self._alone.take(policy, who, units)
        arguments = [policy.window, units * policy.window / policy.quota]
        try:
            key = f"kao:rate:{policy.name}:{who}"
            allowed, busy = await self._script(keys=[key], args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._until = time.monotonic() + ALONE
            log.warning("limits.alone", error=type(error).__name__)
            return self._alone.take(policy, who, units)
        return Verdict(policy, bool(allowed), float(busy))

    async def close(self) -> None:
        """End its connections."""
        await self._redis.aclose()


def _at_once(policy: Policy, account: _Account, cost: int) -> Verdict | None:
    """What this server can say by itself; None: ask Redis."""
    now = time.monotonic()
    if account.units >= cost and now <= account.ends:
        account.units -= cost
        return _verdict(policy, account, True)
    if cost >= account.refused and now < account.again:
        return _verdict(policy, account, False)
    return None


def _verdict(policy: Policy, account: _Account, allowed: bool) -> Verdict:
    unused = account.units * policy.window / policy.quota
    return Verdict(policy, allowed, max(0.0, account.full - time.monotonic() - unused))
