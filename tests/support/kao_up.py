"""`kao up` for real: its own home, its own port, everything that a user would start."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from kao_client import Client, Event
from tests.support.waiting import free_port, wait

T = TypeVar("T")


class Up:
    """A running `kao up`."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home, self.port = home, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            "KAO_HOME": str(home),
            "KAO_PORT": str(self.port),
            "KAO_LEASE_SECONDS": "3",
            **environment,
        }
        self.start()

    def start(self) -> None:
        """Start it, and wait until it serves."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start it, and wait for nothing."""
        self.log = (self.home.parent / "up.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kao", "up"],
            env=self.environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    def wait_until_ready(self) -> None:
        """Wait until an app answers; after a kill, the former one must have ended before."""
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self.wait(self.ready, 180, "it is ready")  # 5 s, or 90 where others train and test
        self.secret = (self.home / "api-key").read_text().strip()
        self.key = {"Authorization": f"Bearer {self.secret}"}
        self.kao = Client(self.url, self.secret)

    def ready(self) -> bool:
        try:
            return self.client.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def wait(self, condition: Callable[[], T], seconds: float, goal: str) -> T:
        """The first true value of a condition, while it runs."""

        def look() -> T:
            assert self.process.poll() is None, self.log_tail()
            return condition()

        return wait(look, seconds, lambda: f"{goal}\n{self.log_tail()}")

    def log_tail(self) -> str:
        return (self.home.parent / "up.log").read_text()[-6000:]

    def train(self, **recipe: Any) -> str:
        """Start a run; its address."""
        return str(self.kao.train(**recipe).links["self"])

    def events(self, location: str) -> list[Event]:
        """All events of a run, until it is over."""
        return list(self.kao.follow(location.rpartition("/")[2]))

    def run(self, location: str) -> dict[str, Any]:
        row: dict[str, Any] = self.client.get(location, headers=self.key).json()
        return row

    def finished(self, location: str, seconds: float = 150) -> dict[str, Any]:
        """Wait for a run's end; the run."""
        final = {"succeeded", "failed", "cancelled"}

        def look() -> dict[str, Any] | None:
            row = self.run(location)
            assert "state" in row, f"{row}\n{self.log_tail()}"
            return row if row["state"] in final else None

        row = self.wait(look, seconds, "the run ends")
        assert row is not None
        return row

    def children(self, pattern: str = "") -> list[psutil.Process]:
        """Processes below `kao up` whose command line matches."""
        matches = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if re.search(pattern, " ".join(child.cmdline())):
                    matches.append(child)
            except psutil.Error:
                continue
        return matches

    def kill(self, pattern: str) -> None:
        victims = self.children(pattern)
        assert victims, f"nothing to kill matches {pattern}\n{self.log_tail()}"
        for victim in victims:
            victim.send_signal(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it; its exit code. Fails where a child outlives it."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.close()
        self.process.send_signal(number)
        code = self.process.wait(60)
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive, f"left behind: {alive}"
        return code

    def close(self) -> None:
        """Close the clients and the log."""
        self.client.close()
        self.kao.close()
        self.log.close()
