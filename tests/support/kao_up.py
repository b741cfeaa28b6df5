"""`kao up` for real: its own home, its own port, everything that a user would start."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import psutil

from app.client import requests
from app.client.client import Client


class Up:
    """A running `kao up`."""

    def __init__(self, home, **environment) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.home = home
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
        self.log = (self.home.parent / "up.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kao", "up"],
            env=self.environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self.wait(self.ready, 180, "it is ready")  # 5 s, or 90 where others train and test
        key = (self.home / "api-key").read_text().strip()
        self.key = {"Authorization": f"Bearer {key}"}
        self.kao = Client(self.url, key)

    def ready(self):
        try:
            return self.client.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def wait(self, condition, seconds, what):
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            assert self.process.poll() is None, self.words()
            if found := condition():
                return found
            time.sleep(0.2)
        raise AssertionError(f"{what}: not within {seconds} s\n{self.words()}")

    def words(self):
        return (self.home.parent / "up.log").read_text()[-6000:]

    def train(self, **recipe):
        return self.kao.send(requests.train(**recipe)).links["self"]

    def events(self, location):
        """All events of a run, until it is over."""
        return list(self.kao.follow(location.rpartition("/")[2]))

    def run(self, location):
        return self.client.get(location, headers=self.key).json()

    def finished(self, location, seconds=150):
        over = {"succeeded", "failed", "cancelled"}
        return self.wait(
            lambda: (run := self.run(location))["state"] in over and run, seconds, "the run ends"
        )

    def children(self, pattern):
        """Processes below `kao up` whose command line matches."""
        found = []
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if re.search(pattern, " ".join(child.cmdline())):
                    found.append(child)
            except psutil.Error:
                continue
        return found

    def kill(self, pattern) -> None:
        victims = self.children(pattern)
        assert victims, f"nothing to kill matches {pattern}\n{self.words()}"
        for victim in victims:
            victim.send_signal(signal.SIGKILL)

    def stop(self):
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.client.close()
        self.kao.close()
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        self.log.close()
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive, f"left behind: {alive}"
        return code
