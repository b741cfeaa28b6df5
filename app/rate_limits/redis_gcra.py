"""The buckets of `gcra.py`, shared by several servers through Redis.

A server reserves a twentieth of a quota at a time and spends it locally, so that a face does not
wait for Redis: of 6,000 a minute one in 300 does. A refusal is remembered until the same cost can
be paid. While Redis does not answer, each server counts alone: a limit that is too wide for a
while is better than a face that fails.
"""

import asyncio
import math
import time
from collections import OrderedDict
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.rate_limits.gcra import MAX_CLIENTS, Buckets, Policy, Verdict

log = structlog.get_logger()

SHARES = 20  # a reservation is the quota divided by this; other servers cannot spend it
TIMEOUT = 0.25  # s; requests in flight wait this long for Redis, later ones skip it (FALLBACK)
FALLBACK = 5.0  # s of counting alone before Redis is tried again

# `Buckets.charge` by Redis's clock, so that the clocks of the servers do not matter. A quota that
# is full later than its window from now was charged before Redis's clock was set back.
CHARGE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local window, step = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = tonumber(redis.call('GET', KEYS[1]) or now)
if full - now > window + 0.001 then full = now end
local before = math.max(0, full - now)
local busy = before + step
if busy > window + 0.000001 then return {0, tostring(before)} end
redis.call('SET', KEYS[1], string.format('%.6f', now + busy), 'PX', math.ceil(busy * 1000))
return {1, tostring(busy)}
"""


@dataclass
class _Reservation:
    """This server's part of a client's quota, and Redis's last answer. Times by our clock."""

    units: float = 0  # reserved in Redis and not spent
    expires_at: float = 0.0  # when `units` lapse
    full_at: float = 0.0  # when the whole quota is available again
    refused_cost: float = math.inf  # the smallest cost that was refused
    retry_at: float = 0.0  # when that cost may be tried again


class RedisBuckets:
    """As `Buckets`, across servers. Its methods belong to one event loop."""

    def __init__(self, url: str) -> None:
        self._redis: Redis = Redis.from_url(
            url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT
        )
        self._script = self._redis.register_script(CHARGE)
        self._local, self._local_until = Buckets(), 0.0
        # One query at a time: the first of several waiting requests reserves units for all.
        self._querying = asyncio.Lock()
        self._reservations: OrderedDict[tuple[str, str], _Reservation] = OrderedDict()

    async def charge(self, policy: Policy, client: str, cost: float) -> Verdict:
        """Charge `cost` units, 0 to the quota; 0 charges nothing and does not query Redis."""
        reservation = self._reservation(policy, client)
        if cost == 0:
            is_refused = time.monotonic() < reservation.retry_at and reservation.refused_cost <= 1
            return _verdict(policy, reservation, not is_refused)
        if (verdict := _charge_locally(policy, reservation, cost)) is not None:
            return verdict
        async with self._querying:
            verdict = _charge_locally(policy, reservation, cost)
            return verdict or await self._reserve(policy, client, reservation, cost)

    def _reservation(self, policy: Policy, client: str) -> _Reservation:
        reservation = self._reservations.setdefault((policy.name, client), _Reservation())
        self._reservations.move_to_end((policy.name, client))
        if len(self._reservations) > MAX_CLIENTS:
            self._reservations.popitem(last=False)
        return reservation

    async def _reserve(
        self, policy: Policy, client: str, reservation: _Reservation, cost: float
    ) -> Verdict:
        """Reserve a share of the quota, or at least this cost, or store the refusal."""
        if time.monotonic() > reservation.expires_at:
            reservation.units = 0
        need = cost - reservation.units
        for units in sorted({need, max(need, policy.quota // SHARES)}, reverse=True):
            answer = await self._query(policy, client, units)
            now = time.monotonic()
            reservation.full_at = now + answer.busy
            if answer.is_allowed:
                reservation.units += units - cost
                reservation.expires_at = now + policy.window
                reservation.refused_cost = math.inf
                return _verdict(policy, reservation, True)
        wait = answer.busy + need * policy.window / policy.quota - policy.window
        reservation.refused_cost, reservation.retry_at = cost, now + wait
        return _verdict(policy, reservation, False)

    async def _query(self, policy: Policy, client: str, units: float) -> Verdict:
        if time.monotonic() < self._local_until:
            return self._local.charge(policy, client, units)
        arguments = [policy.window, units * policy.window / policy.quota]
        try:
            key = f"kao:rate:{policy.name}:{client}"
            is_allowed, busy = await self._script(keys=[key], args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._local_until = time.monotonic() + FALLBACK
            log.warning("limits.counted_alone", error=type(error).__name__)
            return self._local.charge(policy, client, units)
        return Verdict(policy, bool(is_allowed), float(busy))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def _charge_locally(policy: Policy, reservation: _Reservation, cost: float) -> Verdict | None:
    """The verdict where it needs no query; None: query Redis."""
    now = time.monotonic()
    if reservation.units >= cost and now <= reservation.expires_at:
        reservation.units -= cost
        return _verdict(policy, reservation, True)
    if cost >= reservation.refused_cost and now < reservation.retry_at:
        return _verdict(policy, reservation, False)
    return None


def _verdict(policy: Policy, reservation: _Reservation, is_allowed: bool) -> Verdict:
    unspent = reservation.units * policy.window / policy.quota
    return Verdict(policy, is_allowed, max(0.0, reservation.full_at - time.monotonic() - unspent))
