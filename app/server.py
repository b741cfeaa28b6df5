"""The app in uvicorn, as one process."""

import contextlib
import ctypes
import resource
import socket

import uvicorn

from app.http.slow_clients import Connection, cut_off_overdue
from app.main import create_app
from app.state import Services
from models import logs
from models.settings import Settings
from models.storage import disk_cache

GRACE = 5  # s; without it SIGTERM hung over 30 s behind one open event stream (uvicorn 0.54)
MOST_FILES = 65_536  # many systems start a process with 1,024, which is one patient attacker
M_ARENA_MAX = -8  # of mallopt(3), as malloc.h has it
TICKS = 10  # uvicorn's ticks in a second


class Server(uvicorn.Server):
    """A server that tells its event streams to end before it waits for them."""

    def __init__(self, settings: Settings) -> None:
        app = create_app(settings)
        self.services: Services = app.state.services
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=Connection,
            # Else anybody could say to come from anywhere.
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies,
            ws="none",
            loop="auto",  # uvloop, where it is installed
            timeout_graceful_shutdown=GRACE,
            access_log=False,
            server_header=False,
            log_config=None,
        )
        super().__init__(config)

    async def on_tick(self, counter: int) -> bool:
        """Once a second, close the connections whose clients owe for too long."""
        if counter % TICKS == 0:
            cut_off_overdue(self.server_state.connections)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then everything else."""
        self.services.closing.set()
        await super().shutdown(sockets)


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM."""
    logs.configure()
    allow_connections()
    share_heap()
    server = Server(settings)
    with disk_cache.pruning(settings, server.services.database):
        server.run()


def share_heap() -> None:
    """One heap for all threads, where the C library is glibc.

    By default each thread's keeps what it freed from the others: 45 MB (`benchmarks/footprint.py`).
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # musl, macOS, Windows
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def allow_connections() -> None:
    """As many open files as the system lets us have: half-open connections must not use them up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
