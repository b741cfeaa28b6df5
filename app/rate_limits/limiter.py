"""Who is counted for what: faces that are drawn, and all other calls, by key or by address."""

import ipaddress
import math

from starlette.requests import Request

from app.errors import TooManyRequests
from app.rate_limits.gcra import Buckets, Policy, Verdict
from app.rate_limits.redis_gcra import Shared
from models.settings import Settings


class Limiter:
    """Counts, in this process or by REDIS_URL in all. Its methods belong to one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.pictures = Policy.read("pictures", settings.limit_pictures)
        self.calls = Policy.read("calls", settings.limit_calls)
        self._buckets = Buckets()
        self._shared = Shared(settings.redis_url) if settings.redis_url else None

    async def draw(self, request: Request, faces: int) -> dict[str, str]:
        """Count faces that are about to be drawn. Headers to send; raises TooManyRequests."""
        return await self._count(self.pictures, _who(request), faces)

    async def call(self, request: Request) -> dict[str, str]:
        """Count any other call. As `draw`."""
        return await self._count(self.calls, _who(request), 1)

    async def _count(self, policy: Policy | None, who: str | None, cost: int) -> dict[str, str]:
        if policy is None or who is None:
            return {}
        # What costs more than a quota would never be allowed; so it costs a whole one.
        cost = min(cost, policy.quota)
        if self._shared is None:
            verdict = self._buckets.take(policy, who, cost)
        else:
            verdict = await self._shared.take(policy, who, cost)
        if not verdict.allowed:
            raise TooManyRequests(_told(verdict, who), _refused(verdict, cost))
        return verdict.headers()

    async def close(self) -> None:
        """End its connections."""
        if self._shared is not None:
            await self._shared.close()


def _who(request: Request) -> str | None:
    # `app/auth/scopes.py` puts it there.
    key = getattr(request.state, "key", None)
    return f"key {key.id}" if key else _address(request)


def _address(request: Request) -> str | None:
    """Whom to count a request without a key for; None for this machine, which is not counted.

    Of IPv6 the first 64 bits: whoever has one address there has all of them (RFC 6177).
    """
    host = request.client.host if request.client else ""
    if host.startswith("127.") or host in ("::1", ""):
        return None
    if ":" not in host:
        return host
    try:
        return str(ipaddress.ip_network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return host


def _refused(verdict: Verdict, cost: int) -> dict[str, str]:
    policy = verdict.policy
    wait = verdict.busy + cost * policy.window / policy.quota - policy.window
    return {**verdict.headers(), "Retry-After": str(max(1, math.ceil(wait)))}


def _told(verdict: Verdict, who: str) -> str:
    policy = verdict.policy
    what = "faces" if policy.name == "pictures" else "calls"
    told = f"More than {policy.quota:,} {what} in {policy.window:,} seconds; Retry-After says when."
    if who.startswith("key "):
        return told
    return f"{told} If {who} is a proxy for many, name it in KAO_TRUSTED_PROXIES."
