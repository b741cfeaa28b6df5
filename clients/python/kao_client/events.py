"""The position in a stream of events, and its state between reconnections."""

import json
import time
from typing import Any

import httpx

from kao_client.answers import Event
from kao_client.calls import segment

STREAM_TIMEOUT = 45.0  # s without data; the server sends some every 15 s
TOO_MANY_REQUESTS = 429
BACKOFF = (0.2, 0.5, 1.0, 2.0, 5.0)  # s between attempts to reconnect


class EventReader:
    """Reads server-sent events across connections. patience: seconds without a server."""

    def __init__(self, run: str, after: int, patience: float) -> None:
        self.path, self.number, self.patience = f"/train/{segment(run)}/events", after, patience
        self.is_over = False
        self._failures, self._failing_since = 0, 0.0
        self._fields: dict[str, str] = {}

    def request(self) -> dict[str, Any]:
        """The arguments of the request for the events after the last one."""
        headers = {"Last-Event-ID": str(self.number)} if self.number else {}
        return {"method": "GET", "url": self.path, "headers": headers, "timeout": STREAM_TIMEOUT}

    def is_refused(self, answer: httpx.Response) -> bool:
        """Whether repeating the request cannot help; 429 says that too many streams are open."""
        is_final = answer.is_redirect or answer.is_client_error
        return is_final and answer.status_code != TOO_MANY_REQUESTS

    def check(self, answer: httpx.Response) -> None:
        """Note the end of the run (204). Raises RemoteProtocolError for 429 and server errors."""
        self.is_over = answer.status_code == 204
        if answer.status_code == TOO_MANY_REQUESTS or answer.status_code >= 500:
            raise httpx.RemoteProtocolError(f"The server answered {answer.status_code}.")
        self._failures = 0

    def read(self, line: str) -> Event | None:
        """Parse a line of the stream (HTML §9.2.6; these events have one line of data)."""
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        self.number = int(fields["id"])
        return Event(self.number, fields["event"], json.loads(fields["data"]))

    def pause(self, error: Exception | None) -> float:
        """Seconds until the next attempt; raises the error after `patience` seconds of errors."""
        now = time.monotonic()
        if self._failures == 0:
            self._failing_since = now
        if error is not None and now - self._failing_since > self.patience:
            raise error
        self._fields = {}  # a partial event is sent again
        self._failures += 1
        return BACKOFF[min(self._failures, len(BACKOFF)) - 1]
