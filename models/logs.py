"""How every process of Kao logs: events with fields, coloured for a terminal, else JSON lines."""

import logging
import secrets
import sys
from contextvars import ContextVar
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

# The request that is being answered: the id that came with it, or our number for it.
REQUEST: ContextVar[str | int | None] = ContextVar("request", default=None)
# Of this process: a random id for each request would cost more than all else that is done for it.
_PREFIX = secrets.token_hex(6)
CHATTY = ("alembic", "uvicorn.access", "opentelemetry")


def configure() -> None:
    """Once, at a process's start. Everything goes to stderr, what libraries log included."""
    seen = sys.stderr.isatty()
    shared: list[Processor] = [
        _request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        _trace,
        *([] if seen else [structlog.processors.format_exc_info]),
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if seen else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    tidy = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[tidy, renderer],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def told(request: str | int) -> str:
    """A request's id as it stands in a line and in an answer."""
    return request if isinstance(request, str) else f"{_PREFIX}-{request:x}"


def _request(_: Any, __: str, event: EventDict) -> EventDict:
    if (request := REQUEST.get()) is not None:
        event["request"] = told(request)
    return event


def _trace(_: Any, __: str, event: EventDict) -> EventDict:
    """The trace that a line belongs to, where OpenTelemetry follows one."""
    api = sys.modules.get("opentelemetry.trace")  # a worker does not load it
    if api is not None and (span := api.get_current_span().get_span_context()).is_valid:
        event["trace"] = f"{span.trace_id:032x}"
    return event
