"""The app on a real socket, within the test's own process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.server import Server
from models.settings import Settings
from tests.support.waiting import wait


@dataclass
class Live:
    """A server that listens."""

    url: str
    server: Server

    def stop(self) -> None:
        self.server.should_exit = True


@contextmanager
def running(settings: Settings, port: int = 0) -> Iterator[Live]:
    """The app in uvicorn, on a free port or the one that is given."""
    server = Server(settings)
    server.config.port = port
    thread = threading.Thread(target=server.run)
    thread.start()

    def listens() -> bool:
        assert thread.is_alive()
        return server.started

    wait(listens, 60, "the app listens")
    live = Live(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", server)
    try:
        yield live
    finally:
        live.stop()
        thread.join(20)
        assert not thread.is_alive()
