"""The app in uvicorn, as one process."""

import logging
import socket
import sys

import structlog
import uvicorn

from app.main import create_app
from app.services import Services
from models.settings import Settings

GRACE = 5  # s; without it SIGTERM hung over 30 s behind one open event stream (uvicorn 0.54)
# A seed of 4,096 bytes is 12 KiB when percent-encoded, and h11's own limit is 16 KiB.
LONGEST_HEADERS = 32 * 1024


class Server(uvicorn.Server):
    """A server that tells its event streams to end before it waits for them."""

    def __init__(self, settings: Settings) -> None:
        app = create_app(settings)
        self.services: Services = app.state.services
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http="h11",
            h11_max_incomplete_event_size=LONGEST_HEADERS,
            timeout_graceful_shutdown=GRACE,
            access_log=False,
            server_header=False,
            log_config=None,
        )
        super().__init__(config)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then everything else."""
        self.services.closing.set()
        await super().shutdown(sockets)


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM."""
    _configure_logs()
    Server(settings).run()


def _configure_logs() -> None:
    """Colours for a terminal, JSON lines for anything else; all on stderr."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    for chatty in ("alembic", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    seen = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if seen else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *([] if seen else [structlog.processors.format_exc_info]),
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
