"""Run the tests of this folder under atheris: all of them, or one by name.

Each runs FUZZ_SECONDS (600). A failing input is kept in .hypothesis, so that pytest shows it again.
"""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import atheris

FOLDER = Path(__file__).parent
MEMORY = 1_500  # MB of a process; a decoder that takes more is a finding
SECONDS = int(os.environ.get("FUZZ_SECONDS", "600"))


def tests() -> dict[str, str]:
    """The module of each test."""
    modules = {}
    for path in sorted(FOLDER.glob("test_*.py")):
        for line in path.read_text().splitlines():
            if line.startswith("def test_"):
                modules[line[4 : line.index("(")]] = path.stem
    return modules


def lead(name: str) -> None:
    """Run one test until its time is over; libFuzzer then ends the process."""
    sys.path[:0] = [str(FOLDER.parents[1])]
    with atheris.instrument_imports(include=["app", "models", "zipfile"]):
        test = getattr(importlib.import_module(f"tests.fuzz.{tests()[name]}"), name)
    # A picture may take a while on a busy machine; a minute is a hang.
    limits = [f"-max_total_time={SECONDS}", "-timeout=60", f"-rss_limit_mb={MEMORY}"]
    atheris.Setup([name, *limits], test.hypothesis.fuzz_one_input)
    atheris.Fuzz()


def main() -> None:
    """One test, or each in a process of its own; the status says whether any failed."""
    if len(sys.argv) > 1:
        return lead(sys.argv[1])
    failures = []
    for name in tests():
        print(f"== {name}, {SECONDS} s", flush=True)
        if subprocess.run([sys.executable, __file__, name], check=False).returncode:
            failures.append(name)
    sys.exit(f"failed: {', '.join(failures)}" if failures else 0)


if __name__ == "__main__":
    main()
