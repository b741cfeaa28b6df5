"""What a greedy client takes from others, and whether the largest pictures fit a memory limit.

    .venv/bin/python benchmarks/fairness.py          # one greedy client and nine polite ones
    .venv/bin/python benchmarks/fairness.py memory   # every type at its largest, in 1 GiB

The polite clients request one new face after another. The greedy one has 32 connections, on which
it requests the largest loops and sheets and for new faces. Phases with and without it alternate, so
that another load on the machine changes both. Rate limits are off: only the queue is measured.

`memory` needs root, and a memory controller of cgroups (version 1 or 2) that it may write to. The
server gets a group of its own with 1 GiB, and is configured for eight drawing threads.
"""

import contextlib
import http.client
import itertools
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import harness
import psutil

from app.avatars.request.picture_types import PICTURE_TYPES

PHASES = 3  # of each kind
POLITE, CONNECTIONS, THREADS = 9, 32, 8
LIMIT = 2**30
GROUP = "kao-fairness"
# The largest picture of each type, by the format that takes most. `{}` is another seed each time.
LARGEST = {
    "avatar": "/avatar?seed={}&size=1024&format=avif&shape=circle",
    "morph": "/morph?from={}&to=a&frames=64&size=512&format=webp&shape=circle",
    "walk": "/walk?seed={}&frames=64&size=512&format=gif",
    "grow": "/grow?seed={}&frames=64&size=512&format=webp",
    "mix": "/mix?coarse={}&fine=a&size=1024&format=webp",
    "blend": "/blend?seeds={},a,b&size=1024&format=webp",
    "family": "/family?parents={},a&children=16&size=1008&format=webp&shape=circle",
    "sheet": "/sheet?start={}&count=100&size=404&format=webp&shape=circle",
    "og": "/og?seed={}&format=avif",
}
_numbers = itertools.count()


def fetch(connection: http.client.HTTPConnection, path: str, address: str) -> int:
    """The status of a request from this client; 0 where the server has ended."""
    headers = {"X-Forwarded-For": address}
    try:
        connection.request("GET", path.format(next(_numbers)), headers=headers)
        response = connection.getresponse()
        response.read()
        return response.status
    except OSError:
        connection.close()
        return 0


class Clients:
    """Threads that send one request after another until `stop`; their statuses and times."""

    def __init__(self, port: int, paths: list[str], addresses: list[str]) -> None:
        self.statuses: list[int] = []
        self.times: list[float] = []
        self._end = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._send_requests, args=(port, paths[place:] + paths[:place], address)
            )
            for place, address in enumerate(addresses)
        ]
        for thread in self._threads:
            thread.start()

    def _send_requests(self, port: int, paths: list[str], address: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for path in itertools.cycle(paths):
            if self._end.is_set():
                return connection.close()
            start = time.perf_counter()
            status = fetch(connection, path, address)
            self.statuses.append(status)
            self.times.append(time.perf_counter() - start)

    def stop(self) -> None:
        """Wait for the answers that are on their way."""
        self._end.set()
        for thread in self._threads:
            thread.join()


def polite_rate(port: int) -> float:
    """Faces a second that nine polite clients get, for a phase."""
    clients = Clients(
        port, ["/avatar?seed=p{}"], [f"198.51.100.{number}" for number in range(POLITE)]
    )
    time.sleep(harness.SECONDS)
    count = clients.statuses.count(200)
    clients.stop()
    return float(count / harness.SECONDS)


def compare(port: int) -> None:
    """Print what the polite clients get alone and beside the greedy one."""
    greedy_paths = [LARGEST["walk"], LARGEST["sheet"], "/avatar?seed=g{}", "/avatar?seed=h{}"]
    alone, beside = [], []
    for phase in range(PHASES):
        alone.append(polite_rate(port))
        greedy = Clients(port, greedy_paths * CONNECTIONS, ["203.0.113.1"] * CONNECTIONS)
        time.sleep(1)
        beside.append(polite_rate(port))
        greedy.stop()
        count = greedy.statuses.count(200)
        print(f"phase {phase}: {alone[-1]:.0f} alone, {beside[-1]:.0f} beside; greedy got {count}")
    share = statistics.mean(beside) / statistics.mean(alone)
    print(f"nine polite clients get {share:.0%} of what they get alone")


def peak_memory(process: psutil.Process, seconds: float) -> int:
    """The most bytes that a process has of its own, in that time; its group counts files too."""
    peak, end = 0, time.monotonic() + seconds
    while time.monotonic() < end and process.is_running():
        memory = process.memory_info()
        peak = max(peak, memory.rss - memory.shared)
        time.sleep(0.2)
    return peak


def fit(kao: harness.Server, seconds: float) -> None:
    """Request every type at its largest, all threads at once, beside a bystander's faces."""
    paths = [LARGEST[picture_type.name] for picture_type in PICTURE_TYPES]
    greedy = Clients(kao.port, paths, [f"203.0.113.{number}" for number in range(2 * THREADS)])
    bystander = Clients(kao.port, ["/avatar?seed=b{}"], ["198.51.100.1"])
    peak = peak_memory(kao.process, seconds)
    bystander.stop()
    print(f"server: {peak / 2**20:.0f} MiB of its own at its peak")
    times = sorted(bystander.times)
    print(f"bystander: {len(times)} faces, p50 {1000 * statistics.median(times):.0f} ms, ", end="")
    print(f"p99 {1000 * times[int(0.99 * len(times))]:.0f} ms, worst {1000 * times[-1]:.0f} ms")
    greedy.stop()
    for name, statuses in (("greedy", greedy.statuses), ("bystander", bystander.statuses)):
        counts = {status: statuses.count(status) for status in sorted(set(statuses))}
        print(f"{name}: answers by status {counts} (0: the server had ended)")


@contextlib.contextmanager
def server(*prefix: str, **settings: str) -> Iterator[harness.Server]:
    """`kao serve` on a home of its own, started by the command `prefix`."""
    with tempfile.TemporaryDirectory() as home:
        environment = {
            "KAO_HOME": home,
            "KAO_LIMIT_PICTURES": "none",
            "KAO_LIMIT_CALLS": "none",
            "KAO_TRUSTED_PROXIES": "127.0.0.1",
            **settings,
        }
        command = [*prefix, sys.executable, "-m", "kao", "serve"]
        with harness.serving(command, "/health/ready", environment, is_pinned=False) as process:
            yield process
            print("server:", "alive" if process.is_alive() else "killed")


@contextlib.contextmanager
def limited_group() -> Iterator[tuple[Path, str]]:
    """A cgroup with the limit; its list of processes, and its file of the peak."""
    root = Path("/sys/fs/cgroup")
    is_first = (root / "memory").is_dir()
    folder = (root / "memory" if is_first else root) / GROUP
    limit, peak = (
        ("memory.limit_in_bytes", "memory.max_usage_in_bytes")
        if is_first
        else ("memory.max", "memory.peak")
    )
    folder.mkdir(exist_ok=True)
    try:
        (folder / limit).write_text(str(LIMIT))
        yield folder / "cgroup.procs", str(folder / peak)
    finally:
        time.sleep(1)
        folder.rmdir()


def main() -> None:
    """Measure."""
    if sys.argv[1:] != ["memory"]:
        with server() as kao:
            compare(kao.port)
        return
    seconds = float(os.environ.get("SECONDS_EACH", "300"))
    with limited_group() as (processes, peak):
        # The shell enters the group before it becomes the server.
        enter = ("sh", "-c", f'echo $$ > {processes} && exec "$@"', "sh")
        with server(*enter, KAO_THREADS=str(THREADS)) as kao:
            fit(kao, seconds)
            print(f"peak of the group: {int(Path(peak).read_text()) / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
