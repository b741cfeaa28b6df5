"""Posts deliveries of webhooks, signed after Standard Webhooks (www.standardwebhooks.com)."""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import json
import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import sqlalchemy as sa
import structlog

from models import webhooks
from models.settings import Settings
from models.webhooks import Row

log = structlog.get_logger()

INTERVAL = 1.0  # s between two queries for due deliveries
TIMEOUT = 10.0  # s for a receiver to connect, and between two of its bytes
DEADLINE = 15.0  # s for its whole answer
SLOW = 2.0  # s
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291 §2.4


class ForbiddenAddressError(Exception):
    """A receiver on this machine or a private network, without KAO_WEBHOOKS_PRIVATE."""


@dataclass
class Deliverer:
    """Delivers what is due; several workers may do it at once."""

    settings: Settings
    engine: sa.Engine

    def deliver_due(self) -> int:
        """Attempt every due delivery; how many. Logs errors of the database.

        A receiver that fails, or takes longer than SLOW, gets its next one when all others had
        their turn, in a later call.
        """
        count, late = 0, set[str]()
        try:
            while (delivery := webhooks.claim(self.engine, late)) is not None:
                start = time.monotonic()
                status, error = self._attempt(delivery)
                if error is not None or time.monotonic() - start > SLOW:
                    late.add(delivery["webhook"])
                state = webhooks.record_outcome(self.engine, delivery, status, error)
                log.info("webhook.attempted", delivery=delivery["number"], state=state, error=error)
                count += 1
        except sa.exc.SQLAlchemyError as error:
            log.warning("webhooks.failed", reason=type(error).__name__)
        return count

    def _attempt(self, delivery: Row) -> tuple[int | None, str | None]:
        """The status of the answer, and why the attempt failed; None: it did not."""
        try:
            answer = asyncio.run(self._post(delivery))
        except (httpx.HTTPError, OSError, ValueError, TimeoutError, ForbiddenAddressError) as error:
            return None, _explain(error)
        is_success = 200 <= answer < 300
        return answer, None if is_success else f"The receiver answered {answer}."

    async def _post(self, delivery: Row) -> int:
        """The status of the answer, whose body is not read.

        It runs on an event loop so that DEADLINE also ends a response that trickles in. The name
        lookup before it is not limited.
        """
        body = json.dumps(delivery["body"]).encode()
        url = httpx.URL(delivery["url"])
        # The checked address itself: a name could resolve to another one a moment later.
        address = resolve(delivery["url"], self.settings.webhooks_private)
        headers = {
            "Host": url.netloc.decode(),
            "Content-Type": "application/json",
            "User-Agent": "Kao",
            **signature(delivery["secret"], f"msg_{delivery['number']}", time.time(), body),
        }
        extensions = {"sni_hostname": url.host}
        target = url.copy_with(host=address)
        async with (
            asyncio.timeout(DEADLINE),
            httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client,
            client.stream(
                "POST", target, content=body, headers=headers, extensions=extensions
            ) as answer,
        ):
            return answer.status_code


def _explain(error: Exception) -> str:
    """Why an attempt got no answer, as the page of webhooks shows it."""
    if isinstance(error, ForbiddenAddressError):
        return str(error)
    if isinstance(error, socket.gaierror):
        return "The name of the receiver's host cannot be resolved."
    if isinstance(error, (TimeoutError, httpx.TimeoutException)):
        return f"The receiver did not answer within {DEADLINE:g} seconds."
    if isinstance(error, httpx.ConnectError):
        return "The receiver cannot be connected to."
    return f"The connection failed: {type(error).__name__}: {error}"[:500]


def signature(secret: str, id: str, moment: float, body: bytes) -> dict[str, str]:
    """The headers that prove who sent a body, and when. moment: Unix time."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{id}.{int(moment)}.".encode() + body
    digest = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(moment)),
        "webhook-signature": f"v1,{digest}",
    }


def resolve(url: str, allows_private: bool) -> str:
    """The address to connect to. Raises ForbiddenAddressError, and OSError for an unknown name."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    rows = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    addresses = [str(row[4][0]).partition("%")[0] for row in rows]
    if not allows_private and not all(map(_is_public, addresses)):
        raise ForbiddenAddressError(
            f"{parts.hostname} is on a private network; KAO_WEBHOOKS_PRIVATE=true allows it."
        )
    return addresses[0]


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        inner = _ipv4_inside(address)
        # Python calls much of the rest global, such as `::127.0.0.1` and local NAT64 prefixes.
        if inner is None and address not in _GLOBAL_UNICAST:
            return False
        address = inner or address
    return address.is_global and not address.is_multicast


def _ipv4_inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to: mapped, by NAT64, or by 6to4 (RFC 3056)."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
