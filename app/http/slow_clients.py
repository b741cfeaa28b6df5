"""Deadlines for slow clients, added to uvicorn's HTTP protocol.

uvicorn 0.54 limits only the pause between two requests. Without these deadlines a connection that
sends nothing, half a header or half a body stays open without limit.
"""

import asyncio
import contextlib
import re
import socket
from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.problems import problem

log = structlog.get_logger()

HEADERS = 10.0  # s for all headers; a phone with a bad connection takes 2 or 3
# Deadline for the next bytes of a body, s. Each byte extends it by 1/RATE s, up to LONGEST_PAUSE:
# a body slower than RATE for this long is cut off, a shorter pause is not.
LONGEST_PAUSE = 30.0
RATE = 1024  # bytes/s; a phone with a weak signal sends ten times as much
LINGER = 5.0  # s for a client to stop sending a body after its answer (RFC 9112 §9.6)
# s within which a client must read at least 48 KiB, the amount by which asyncio's buffer drains.
STALL = 60.0
# A seed of 4,096 bytes is 12 KiB when percent-encoded; the parser itself has no limit.
MAX_HEADER_BYTES = 32 * 1024
# s after the keep-alive timeout. uvloop fires timers before it reads sockets, so after a stall it
# would close connections that already have a request waiting.
KEEP_ALIVE_GRACE = 0.1


# s for a client to acknowledge what was sent, where the system has TCP_USER_TIMEOUT (RFC 5482): a
# stream to a machine that vanished ends then, and not when TCP gives up after 15 minutes.
SILENT_PEER = STALL

BUFFERED_BODY = 64 * 1024  # bytes of a body that wait in memory; longer ones are read as they come
UNFINISHED_SHARE = 32  # of the memory limit: what unfinished requests may take is a part of it
LEAST_UNFINISHED = 16 * 2**20  # bytes
FULL = "Too many requests were unfinished; try again in a second."


_NOT_ASCII = re.compile(rb"[\x80-\xff]")


class RefusedHeadersError(Exception):
    """The headers of a request were refused."""


class Connection(HttpToolsProtocol):
    """A client's connection; the server calls `enforce_deadlines` once a second."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._last_data = self._request_start = self._body_deadline = self.loop.time()
        self._body_complete = True
        self._in_headers, self._header_bytes, self._has_data = True, 0, False
        self._body_bytes = 0
        self._stall_start = self._last_data

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give up a client that vanished."""
        super().connection_made(transport)
        _limit_silence(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """Parse; refuse headers that are too large."""
        now = self._last_data = self.loop.time()
        self._has_data = True
        if not self._is_answered():
            self._body_deadline = min(now + LONGEST_PAUSE, self._body_deadline + len(data) / RATE)
        is_start = self._body_complete and not (self._in_headers and self._header_bytes)
        super().data_received(_encode_target(data) if is_start else data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self._refuse(431, f"The headers have more than {MAX_HEADER_BYTES:,} bytes.")

    def on_message_begin(self) -> None:
        """Start the deadline of a request's headers."""
        self._request_start, self._in_headers, self._header_bytes = self._last_data, True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the deadline of the body; refuse headers that are too large, or ambiguous."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > MAX_HEADER_BYTES:
            self._refuse(431, f"The headers have more than {MAX_HEADER_BYTES:,} bytes.")
            raise RefusedHeadersError  # stops the parser, so that no app sees the request
        if [name for name, _ in self.headers].count(b"host") > 1:  # RFC 9112 §3.2
            self._refuse(400, "The request has more than one Host header.")
            raise RefusedHeadersError
        self._in_headers = self._body_complete = False
        self._header_bytes, self._body_bytes = size, 0
        self._body_deadline = self._last_data + LONGEST_PAUSE
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the body is complete, or that there is none."""
        self._body_complete = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Shorten the deadline of a client that still sends a body."""
        self._body_deadline = min(self._body_deadline, self.loop.time() + LINGER)
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless a request is waiting in its socket."""
        self.timeout_keep_alive_task = self.loop.call_later(
            KEEP_ALIVE_GRACE, super().timeout_keep_alive_handler
        )

    def pause_writing(self) -> None:
        """Note since when the client reads more slowly than the app writes."""
        self._stall_start = self.loop.time()
        super().pause_writing()

    def enforce_deadlines(self, now: float) -> None:
        """Close an overdue connection, with a 408 where a request has begun."""
        if self.flow.write_paused and now - self._stall_start > STALL:
            self.transport.abort()  # close() would wait for the client to read
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self._body_deadline = now + LONGEST_PAUSE  # the app is slower than the client
        elif self._in_headers and now - self._request_start > HEADERS:
            self._refuse(408, f"The headers were incomplete after {HEADERS:g} seconds.")
        elif not self._body_complete and now > self._body_deadline:
            self._refuse(408, f"The body arrived at less than {RATE:,} bytes per second.")

    @property
    def address(self) -> str:
        """Of the other end, which may be a proxy."""
        return self.client[0] if self.client else ""

    def unfinished_bytes(self) -> int:
        """The bytes of a request that is not complete, as far as they wait in memory."""
        if self._in_headers:
            return self._header_bytes
        if self._body_complete:
            return 0
        return self._header_bytes + min(self._body_bytes, BUFFERED_BODY)

    def pace(self, now: float) -> float:
        """Bytes a second of the unfinished request."""
        return self.unfinished_bytes() / max(now - self._request_start, 1e-3)

    def drop(self) -> None:
        """Close the connection, with a 503 where a request has begun."""
        self._refuse(503, FULL)

    def _is_answered(self) -> bool:
        # `cycle` is None before the first request.
        return getattr(self.cycle, "response_complete", False)

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for bytes that are not HTTP."""
        self._refuse(400, msg)

    def _refuse(self, status: int, detail: str) -> None:
        if self.transport.is_closing():
            return
        has_started = getattr(self.cycle, "response_started", False)
        # A client cannot read an answer inside a response, before its request, or twice.
        if self._has_data and (not has_started or (self._is_answered() and self._body_complete)):
            self.transport.write(_serialise(status, detail))
        self.transport.close()


def _encode_target(data: bytes) -> bytes:
    """A request whose first line is ASCII: curl sends other characters of an address as they are.

    httptools refuses them. Where the line is on two packets, they stay.
    """
    line, end, remainder = data.partition(b"\n")
    if line.isascii():
        return data
    return _NOT_ASCII.sub(lambda match: b"%%%02X" % match[0][0], line) + end + remainder


def _limit_silence(connection: Any) -> None:
    with contextlib.suppress(AttributeError, OSError):  # not on macOS and Windows
        milliseconds = int(SILENT_PEER * 1000)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _serialise(status: int, detail: str) -> bytes:
    phrase = HTTPStatus(status).phrase
    response = problem(status, phrase.lower().replace(" ", "-"), detail, {"Connection": "close"})
    lines = [f"HTTP/1.1 {status} {phrase}".encode()]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(response.body)])


def enforce_deadlines(connections: set[Any]) -> None:
    """Close the overdue ones among these connections."""
    now = asyncio.get_running_loop().time()
    for connection in list(connections):
        if isinstance(connection, Connection):
            connection.enforce_deadlines(now)


def drop_unfinished(connections: Iterable[Any], memory: int) -> None:
    """Close connections until what their requests take before they are complete fits.

    Those of the address with the most go first, of these the slowest. memory: bytes that the
    process may use.
    """
    now = asyncio.get_running_loop().time()
    own = [each for each in connections if isinstance(each, Connection) and each.unfinished_bytes()]
    by_address: Counter[str] = Counter()
    for connection in own:
        by_address[connection.address] += connection.unfinished_bytes()
    excess = by_address.total() - max(LEAST_UNFINISHED, memory // UNFINISHED_SHARE)
    if excess <= 0:
        return
    for connection in sorted(own, key=lambda each: (-by_address[each.address], each.pace(now))):
        excess -= connection.unfinished_bytes()
        connection.drop()
        if excess <= 0:
            break
    log.warning("requests.dropped", reason="too many are unfinished")
