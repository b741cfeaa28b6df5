"""A connection that may not dawdle: uvicorn's, with deadlines for what the client still owes.

uvicorn 0.54 times only the pause between two requests. A connection that sends nothing, half a
header or half a body stays open for as long as the client likes.
"""

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.problems import problem

HEADERS = 10.0  # s for all of them; a phone on a bad line takes 2 or 3
# A body has this much time ahead of it, which passes, and which its bytes buy back: one that drips
# more slowly than RATE for so long is cut off, one that pauses for less is not.
SILENCE = 30.0  # s
RATE = 1024  # bytes/s; a phone at the edge of its network sends ten times as much
LINGER = 5.0  # s for a client to stop sending what was answered before its end (RFC 9112 §9.6)
# s in which a client that reads takes at least 48 KiB, which is what asyncio's buffer drains by.
STALLED = 60.0
# A seed of 4,096 bytes is 12 KiB when percent-encoded; the parser itself has no limit.
LONGEST_HEADERS = 32 * 1024
# s after an idle connection's time is over, to read what came before. uvloop runs timers before it
# reads, so an app that stood still for as long cut off all who had asked meanwhile.
LAST_LOOK = 0.1


class Connection(HttpToolsProtocol):
    """One client's connection; the server calls `cut_off` once a second."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._heard = self._began = self._due = self.loop.time()
        self._body_whole = True
        self._in_headers, self._header_bytes, self._spoke = True, 0, False
        self._stalled = self._heard

    def data_received(self, data: bytes) -> None:
        """Parse; refuse headers that do not end."""
        now = self._heard = self.loop.time()
        self._spoke = True
        if not self._answered():
            self._due = min(now + SILENCE, self._due + len(data) / RATE)
        super().data_received(data)
        if self._in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > LONGEST_HEADERS:
                self._refuse(431, f"The headers have more than {LONGEST_HEADERS:,} bytes.")

    def on_message_begin(self) -> None:
        """A request begins: its headers have until their deadline."""
        self._began, self._in_headers, self._header_bytes = self._heard, True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers are whole; a body may follow."""
        self._in_headers = self._body_whole = False
        self._due = self._heard + SILENCE
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """So is the body, if there is one."""
        self._body_whole = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Whoever is still sending has little time to notice."""
        self._due = min(self._due, self.loop.time() + LINGER)
        super().on_response_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless a request came while nobody looked."""
        self.timeout_keep_alive_task = self.loop.call_later(
            LAST_LOOK, super().timeout_keep_alive_handler
        )

    def pause_writing(self) -> None:
        """The client reads more slowly than the app writes."""
        self._stalled = self.loop.time()
        super().pause_writing()

    def cut_off(self, now: float) -> None:
        """Close, with a word if a request has begun, when the client owes for too long."""
        if self.flow.write_paused and now - self._stalled > STALLED:
            self.transport.abort()  # closing would wait for the client to read
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self._due = now + SILENCE  # the app is slower than the client
        elif self._in_headers and now - self._began > HEADERS:
            self._refuse(408, f"The headers were not whole after {HEADERS:g} seconds.")
        elif not self._body_whole and now > self._due:
            self._refuse(408, f"The body came more slowly than {RATE:,} bytes a second.")

    def _answered(self) -> bool:
        # There is no cycle before the first request.
        return getattr(self.cycle, "response_complete", False)

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for bytes that are no HTTP."""
        self._refuse(400, msg)

    def _refuse(self, status: int, detail: str) -> None:
        if self.transport.is_closing():
            return
        started = getattr(self.cycle, "response_started", False)
        # Inside a response, before a first byte, or as a second answer, none would be understood.
        if self._spoke and (not started or (self._answered() and self._body_whole)):
            self.transport.write(_serialised(status, detail))
        self.transport.close()


def _serialised(status: int, detail: str) -> bytes:
    phrase = HTTPStatus(status).phrase
    answer = problem(status, phrase.lower().replace(" ", "-"), detail, {"Connection": "close"})
    lines = [f"HTTP/1.1 {status} {phrase}".encode()]
    lines += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])


def cut_off_overdue(connections: set[Any]) -> None:
    """Ask every connection once."""
    now = asyncio.get_running_loop().time()
    for connection in list(connections):
        if isinstance(connection, Connection):
            connection.cut_off(now)
