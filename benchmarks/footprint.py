"""What serving the shipped model takes: memory, and the time from nothing to a first picture.

Starts `kao serve` in a fresh home (tables are made, the model is registered) and again in the
same home; then asks for faces until the cache of pictures is full. The last line ends in the share
of 250 MB that is resident then.
"""

import subprocess
import sys
import tempfile
import time
from collections import Counter

import harness
from harness import Server, load

ALLOWED_MB, ALLOWED_SECONDS = 250, 3.0


def resident(server: Server) -> float:
    """Megabytes (10^6) of physical memory that the process holds."""
    return float(server.process.memory_info().rss / 1e6)


def first_picture(home: str) -> tuple[float, float]:
    """Seconds from starting `kao serve` to a whole picture, and megabytes then."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "kao", "serve"]
    with harness.serving(command, "/avatar?seed=42", {"KAO_HOME": home}) as server:
        return time.perf_counter() - start, resident(server)


def imports() -> list[tuple[str, float]]:
    """The packages that take longest to import, themselves without what they import, in ms."""
    code = "import kao.main; from app.server import serve"
    output = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True
    ).stderr
    times: Counter[str] = Counter()
    for line in output.splitlines()[1:]:
        own, _, name = line.removeprefix("import time:").split("|")
        times[name.strip().split(".")[0]] += int(own)
    return [(name, own / 1e3) for name, own in times.most_common(8)]


def main() -> None:
    """Print times, memory and where they go."""
    with tempfile.TemporaryDirectory(prefix="kao-") as home:
        for label in ("in a fresh home", "again"):
            seconds, megabytes = first_picture(home)
            print(f"first picture {label}: {seconds:.2f} s, {megabytes:.0f} MB resident")
    with harness.kao() as server:
        for label in ("new faces", "more of them", "and more"):
            load_report = load(server, "/avatar?seed=SEED")
            print(f"{label}: {resident(server):.0f} MB   {load_report}")
        full = resident(server)
    print(
        "imports:", ", ".join(f"{name} {milliseconds:.0f} ms" for name, milliseconds in imports())
    )
    print(
        f"\nseconds to the first picture, of {ALLOWED_SECONDS:g}: {seconds / ALLOWED_SECONDS:.2f}"
    )
    print(f"resident, of {ALLOWED_MB} MB: {full / ALLOWED_MB:.2f}")


if __name__ == "__main__":
    main()
