"""What several hosts share, for real and on this machine: PostgreSQL, and S3."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psycopg

KEYS = {"AWS_ACCESS_KEY_ID": "kao", "AWS_SECRET_ACCESS_KEY": "for-the-tests"}
REGION = {"AWS_REGION": "us-east-1"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process that listens on a port."""

    def __init__(self, command, port, **more) -> None:
        self.command, self.port, self.more = command, port, more
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.more
        )
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            assert self.process.poll() is None, self.command
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError(f"{self.command} does not listen")

    def stop(self, number=signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)


class S3(Server):
    """moto's server; it keeps its objects in memory."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        super().__init__([sys.executable, "-m", "moto.server", "-p", str(port)], port)

    def bucket(self):
        """A new one's name."""
        name = f"kao-{os.urandom(4).hex()}"
        assert httpx.put(f"{self.url}/{name}", timeout=60, trust_env=False).status_code == 200
        return name


class Postgres(Server):
    """Debian's; it will not run as root, so then as its own user. None where it is missing."""

    @staticmethod
    def binaries():
        """The folder of its newest version's programs."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        return found[-1] if found else None

    def __init__(self) -> None:
        binaries, port = self.binaries(), free_port()
        user = {"user": "postgres"} if os.geteuid() == 0 else {}
        self.folder = Path(tempfile.mkdtemp(prefix="kao-pg-"))
        if user:
            shutil.chown(self.folder, "postgres")
        data = self.folder / "data"
        how = ("-U", "kao", "-A", "trust", "-E", "UTF8", "--no-sync")
        made = [binaries / "initdb", "-D", data, *how]
        subprocess.run(made, check=True, capture_output=True, cwd=self.folder, **user)
        words = [binaries / "postgres", "-D", data, "-p", str(port), "-k", self.folder]
        super().__init__(
            [*words, "-c", "listen_addresses=127.0.0.1"], port, cwd=self.folder, **user
        )

    def database(self) -> str | None:
        """A new one's DATABASE_URL."""
        name = f"kao_{os.urandom(4).hex()}"
        url = f"postgresql://kao@127.0.0.1:{self.port}"
        ends = time.monotonic() + 30
        while True:
            try:
                with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
                    connection.execute(f"CREATE DATABASE {name}")
                return f"{url}/{name}"
            except psycopg.OperationalError:  # it listens before it answers
                assert time.monotonic() < ends
                time.sleep(0.2)

    def remove(self) -> None:
        # At once: sessions that a killed process left would be waited for.
        self.stop(signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)
