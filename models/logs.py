"""Logging of every process: events with fields, coloured on a terminal, else JSON lines."""

import contextlib
import io
import logging
import secrets
import sys
from contextvars import ContextVar
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

# The current request: the id that it brought, or its number in this process.
REQUEST: ContextVar[str | int | None] = ContextVar("request", default=None)
# Prefix of this process's request ids: a random id for each request would dominate its cost.
_PREFIX = secrets.token_hex(6)
CHATTY = ("alembic", "uvicorn.access", "opentelemetry")


class LogStream(io.TextIOBase):
    """A stream whose write errors are ignored: a full disk must not fail what is logged.

    Without it, a request whose log line could not be written was answered with a 500, although
    its transaction had been committed.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


def configure(libraries: int = logging.INFO) -> None:
    """Configure logging, at a process's start. Libraries' logs of this level go to stderr too."""
    stream = LogStream(sys.stderr)
    is_terminal = stream.isatty()
    shared: list[Processor] = [
        _request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        _trace,
        *([] if is_terminal else [structlog.processors.format_exc_info]),
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, stream)),
    )
    handler = logging.StreamHandler(stream)
    tidy = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[tidy, renderer],
        )
    )
    logging.basicConfig(level=libraries, handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def request_id(request: str | int) -> str:
    """Return a request's id as it is written in log lines and response headers."""
    return request if isinstance(request, str) else f"{_PREFIX}-{request:x}"


def _request(_: Any, __: str, event: EventDict) -> EventDict:
    if (request := REQUEST.get()) is not None:
        event["request"] = request_id(request)
    return event


def _trace(_: Any, __: str, event: EventDict) -> EventDict:
    """Add the id of the current OpenTelemetry trace."""
    api = sys.modules.get("opentelemetry.trace")  # a worker does not load it
    if api is not None and (span := api.get_current_span().get_span_context()).is_valid:
        event["trace"] = f"{span.trace_id:032x}"
    return event
