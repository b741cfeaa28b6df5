"""Connections to PostgreSQL that notice when the server no longer answers.

With TCP alone a dead or frozen peer is indistinguishable from a slow one, and a thread would wait
for hours. On the server, the session of a lost client would hold its locks as long.
"""

import contextlib
import time
from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

T = TypeVar("T")

STATEMENT_TIMEOUT = 20.0  # s for one statement, its locks included; those of Kao take milliseconds
# The server ends the session of a client that was silent for so long within a transaction: Kao
# waits for nothing there, and others wait for its locks.
IDLE_TIMEOUT = "60s"
PARAMETERS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # ms
}


class Connection(psycopg.Connection[Any]):
    """A connection whose every statement ends within `timeout` seconds, or breaks it.

    timeout: None waits for ever, for statements that take as long as there is data.
    """

    timeout: float | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.timeout = STATEMENT_TIMEOUT

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Run a statement to its end. Raises OperationalError after `timeout` seconds."""
        return super().wait(self._limit(gen), *args, **kwargs)

    def _limit(self, statement: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        if self.timeout is None:
            return (yield from statement)
        deadline = time.monotonic() + self.timeout
        try:
            event_to_wait_for = next(statement)
            while True:
                # psycopg resumes it at each answer, and ten times a second without one.
                ready = yield event_to_wait_for
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()  # its answer could only come for another statement
                    raise psycopg.OperationalError(
                        f"PostgreSQL did not answer within {self.timeout:g} seconds"
                    )
                event_to_wait_for = statement.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


def install(engine: sa.Engine) -> None:
    """Let an engine make such connections."""

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Connection:
        connection = Connection.connect(*arguments, **{**PARAMETERS, **parameters})
        connection.autocommit = True
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_TIMEOUT}'".encode())
        connection.autocommit = False
        return connection


@contextlib.contextmanager
def without_time_limit(db: sa.Connection) -> Iterator[None]:
    """Let the statements of a connection take as long as they need, as migrations do."""
    driver_connection = db.connection.driver_connection
    assert isinstance(driver_connection, Connection)
    driver_connection.timeout = None
    try:
        yield
    finally:
        driver_connection.timeout = STATEMENT_TIMEOUT  # it returns to the pool
