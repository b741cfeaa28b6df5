"""Runs the app in uvicorn, in one process."""

import contextlib
import ctypes
import resource
import socket

import uvicorn

from app.avatars.state import PictureState
from app.http.slow_clients import (
    BUFFERED_BODY,
    LEAST_UNFINISHED,
    Connection,
    drop_unfinished,
    enforce_deadlines,
)
from app.main import create_app
from app.monitoring.watchdog import Watchdog
from models import logs, memory
from models.maintenance import disk_cache
from models.settings import Settings

GRACE = 5  # s; without it SIGTERM took over 30 s with one open event stream (uvicorn 0.54)
MAX_FILES = 65_536  # many systems allow 1,024 by default, which one slow client can use up
M_ARENA_MAX = -8  # of mallopt(3), as malloc.h has it
EVERYWHERE = "::"
BACKLOG = 2048  # uvicorn's default
MANY = LEAST_UNFINISHED // BUFFERED_BODY // 2  # connections; fewer always fit the memory
TICKS = 10  # uvicorn's ticks in a second


class Server(uvicorn.Server):
    """A server that ends its event streams before it waits for open connections."""

    def __init__(self, settings: Settings) -> None:
        app = create_app(settings)
        self.state: PictureState = app.state.kao
        self.memory = memory.available()
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            http=Connection,
            # Otherwise any client could claim any address.
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_networks,
            ws="none",
            loop="auto",  # uvloop, where it is installed
            timeout_graceful_shutdown=GRACE,
            access_log=False,
            server_header=False,
            log_config=None,
        )
        super().__init__(config)

    async def on_tick(self, counter: int) -> bool:
        """Once a second, close what is past its deadline, and drop what takes too much memory."""
        if len(self.server_state.connections) > MANY:
            drop_unfinished(self.server_state.connections, self.memory)
        if counter % TICKS == 0:
            enforce_deadlines(self.server_state.connections)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the event streams, then shut down."""
        self.state.closing.set()
        await super().shutdown(sockets)


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM."""
    logs.configure()
    allow_connections()
    share_heap()
    server = Server(settings)
    Watchdog(server.state.engine.longest_run, lambda: server.should_exit).start()
    with disk_cache.pruning(settings, server.state.database):
        server.run(_sockets(settings))


def _sockets(settings: Settings) -> list[socket.socket] | None:
    """A socket for IPv4 and IPv6 where the host is `::`; uvicorn's own would have IPv6 alone."""
    if settings.host != EVERYWHERE or not socket.has_dualstack_ipv6():
        return None
    address, family = ("::", settings.port), socket.AF_INET6
    return [socket.create_server(address, family=family, backlog=BACKLOG, dualstack_ipv6=True)]


def share_heap() -> None:
    """Use one malloc arena for all threads, where the C library is glibc.

    With one arena per thread, freed memory is not shared: 45 MB (`benchmarks/footprint.py`).
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # musl, macOS, Windows
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def allow_connections() -> None:
    """Raise the limit of open files, so that half-open connections do not exhaust it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
