"""Rate limits of pictures and of all other calls, by API key or by address."""

import ipaddress
import math
from dataclasses import replace

from starlette.requests import Request

from app.errors import TooManyRequests
from app.rate_limits.gcra import Buckets, Policy, Verdict
from app.rate_limits.redis_gcra import RedisBuckets
from models.settings import Settings

# Prefixes after which an IPv6 address ends in an IPv4 one: NAT64 (RFC 6052), also with a network's
# own prefix (RFC 8215), translated (RFC 2765 §2.1), mapped and compatible (RFC 4291 §2.5.5).
_IPV4_PREFIXES = [
    ipaddress.IPv6Network(prefix)
    for prefix in ("64:ff9b::/96", "64:ff9b:1::/48", "::ffff:0:0:0/96", "::ffff:0:0/96", "::/96")
]
# Faces for a 304 or a picture from memory, which take a seventieth of a new face's time
# (docs/performance.md): behind one address may be an office whose browsers revalidate.
CACHED = 0.02
ASSETS = ("/assets/", "/local/")


class Limiter:
    """Charges requests, in this process or, with REDIS_URL, across servers.

    Its methods belong to one event loop.
    """

    def __init__(self, settings: Settings) -> None:
        self.pictures = Policy.parse("pictures", settings.limit_pictures)
        self.calls = Policy.parse("calls", settings.limit_calls)
        # Of a page's scripts and styles, counted apart: they are sent where the others are used up.
        self.assets = self.pictures and replace(
            self.pictures, name="assets", quota=round(self.pictures.quota / CACHED)
        )
        self._trusts_proxies = bool(settings.trusted_proxies)
        self._buckets = Buckets()
        self._redis = RedisBuckets(settings.redis_url) if settings.redis_url else None

    async def charge_pictures(self, request: Request, faces: float) -> dict[str, str]:
        """Charge faces before they are drawn; the headers to send. Raises TooManyRequests."""
        return _headers(await self._charge(self.pictures, request, faces))

    async def charge_call(self, request: Request) -> dict[str, str]:
        """Charge any other call; the headers to send. Raises TooManyRequests."""
        return _headers(await self._charge(self.calls, request, 1))

    async def charge_answer(self, request: Request, status: int) -> None:
        """Charge an answer that no route charged: a face for a success, else a call.

        A picture from memory and a 304 cost CACHED faces. An asset costs as much, of a quota of
        its own.
        """
        if getattr(request.state, "is_charged", False):
            return
        if status >= 400:
            await self._charge(self.calls, request, 1)
        elif is_asset(request):
            await self._charge(self.assets, request, 1)
        else:
            is_cached = status == 304 or getattr(request.state, "is_from_memory", False)
            await self._charge(self.pictures, request, CACHED if is_cached else 1)

    async def require_calls(self, request: Request) -> None:
        """Raise TooManyRequests where the client has used up its calls; charges nothing."""
        await self._charge(self.calls, request, 0)

    async def require_pictures(self, request: Request) -> None:
        """Raise TooManyRequests where the client has used up its pictures; charges nothing."""
        await self._charge(self.pictures, request, 0)

    async def _charge(self, policy: Policy | None, request: Request, cost: float) -> Verdict | None:
        if cost:
            request.state.is_charged = True
        client = self.client(request)
        if policy is None or client is None:
            return None
        # A request that costs more than the quota costs the whole quota, or it could never run.
        cost = min(cost, float(policy.quota))
        if self._redis is None:
            verdict = self._buckets.charge(policy, client, cost)
        else:
            verdict = await self._redis.charge(policy, client, cost)
        if not verdict.is_allowed:
            raise TooManyRequests(_message(verdict, client), _refusal_headers(verdict, cost))
        return verdict

    def client(self, request: Request) -> str | None:
        """The key or the address that a request is charged to; None for this machine."""
        # `app/auth/scopes.py` stores the key there.
        key = getattr(request.state, "key", None)
        return f"key {key.id}" if key else client_address(request, self._trusts_proxies)

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._redis is not None:
            await self._redis.close()


def _headers(verdict: Verdict | None) -> dict[str, str]:
    return verdict.headers() if verdict is not None else {}


def client_address(request: Request, trusts_proxies: bool = False) -> str | None:
    """The address that a request without a key is charged to; None for this machine: uncharged.

    For IPv6 its first 64 bits: a client with one such address has all of them (RFC 6177). An
    address of this machine that a proxy forwarded may be the client's invention, so it is charged.
    """
    host = _without_ipv6_form(request.client.host if request.client else "")
    if host.startswith("127.") or host in ("::1", ""):
        is_forwarded = trusts_proxies and "x-forwarded-for" in request.headers
        return host if is_forwarded else None
    if ":" not in host:
        return host
    try:
        return str(ipaddress.ip_network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return host


def _without_ipv6_form(host: str) -> str:
    """The IPv4 address inside an IPv6 one, else the host; `::1` is this machine.

    An IPv4 address has 2**16 networks of 64 bits by 6to4 (RFC 3056), and all clients of a Teredo
    server have one (RFC 4380).
    """
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    tunnelled = address.sixtofour or (address.teredo and address.teredo[1])
    if tunnelled and not tunnelled.is_loopback:
        return str(tunnelled)
    # Not is_loopback: since Python 3.13 that holds for ::ffff:127.0.0.1 too.
    if int(address) == 1 or not any(address in prefix for prefix in _IPV4_PREFIXES):
        return host
    return str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))


def is_asset(request: Request) -> bool:
    """Whether a request is for a script, style or icon of a page; they are in memory."""
    return str(request.scope["path"]).startswith(ASSETS)


def _refusal_headers(verdict: Verdict, cost: float) -> dict[str, str]:
    policy = verdict.policy
    wait = verdict.busy + (cost or 1) * policy.window / policy.quota - policy.window
    return {**verdict.headers(), "Retry-After": str(max(1, math.ceil(wait)))}


def _message(verdict: Verdict, client: str) -> str:
    policy = verdict.policy
    unit = {"pictures": "faces", "assets": "files"}.get(policy.name, policy.name)
    text = f"More than {policy.quota:,} {unit} in {policy.window:,} seconds; see Retry-After."
    if client.startswith("key "):
        return text
    return f"{text} If {client} is a proxy for many clients, add it to KAO_TRUSTED_PROXIES."
