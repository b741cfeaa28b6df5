"""What several hosts share, for real and on this machine: PostgreSQL, and S3."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.support.waiting import free_port, wait

KEYS = {"AWS_ACCESS_KEY_ID": "kao", "AWS_SECRET_ACCESS_KEY": "for-the-tests"}
REGION = {"AWS_REGION": "us-east-1"}


class Server:
    """A process that listens on a port."""

    def __init__(self, command: Sequence[str | Path], port: int, **options: Any) -> None:
        self.command, self.port, self.options = command, port, options
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.options
        )
        wait(self._listens, 60, f"{self.command} listens")

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.command
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)

    @contextmanager
    def stopped(self, number: signal.Signals) -> Iterator[None]:
        """Stop it for the length of `with`; it starts again however that ends."""
        self.stop(number)
        try:
            yield
        finally:
            self.start()


class S3(Server):
    """moto's server; it keeps its objects in memory."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        super().__init__([sys.executable, "-m", "moto.server", "-p", str(port)], port)

    def bucket(self) -> str:
        """A new one's name."""
        name = f"kao-{os.urandom(4).hex()}"
        assert httpx.put(f"{self.url}/{name}", timeout=60, trust_env=False).status_code == 200
        return name


class Postgres(Server):
    """Debian's; it will not run as root, so then as its own user. None where it is missing."""

    @staticmethod
    def binaries() -> Path | None:
        """The folder of its newest version's programs."""
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        return folders[-1] if folders else None

    def __init__(self) -> None:
        binaries, port = self.binaries(), free_port()
        assert binaries is not None
        user: dict[str, Any] = {"user": "postgres"} if os.geteuid() == 0 else {}
        self.folder = Path(tempfile.mkdtemp(prefix="kao-pg-"))
        if user:
            shutil.chown(self.folder, "postgres")
        data = self.folder / "data"
        how = ("-U", "kao", "-A", "trust", "-E", "UTF8", "--no-sync")
        initialise: list[str | Path] = [binaries / "initdb", "-D", data, *how]
        subprocess.run(initialise, check=True, capture_output=True, cwd=self.folder, **user)
        words: list[str | Path] = [
            binaries / "postgres",
            "-D",
            data,
            "-p",
            str(port),
            "-k",
            self.folder,
        ]
        super().__init__(
            [*words, "-c", "listen_addresses=127.0.0.1"], port, cwd=self.folder, **user
        )

    def database(self) -> str:
        """A new one's DATABASE_URL."""
        name = f"kao_{os.urandom(4).hex()}"
        url = f"postgresql://kao@127.0.0.1:{self.port}"
        wait(lambda: self._create(url, name), 30, "PostgreSQL answers")
        return f"{url}/{name}"

    def _create(self, url: str, name: str) -> bool:
        try:
            with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}".encode())
        except psycopg.OperationalError:  # it listens before it answers
            return False
        return True

    def remove(self) -> None:
        # At once: sessions that a killed process left would be waited for.
        self.stop(signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)
