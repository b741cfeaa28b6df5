"""What a known face costs: requests a second of a 304 and of a repeated seed.

Beside them DiceBear 10 (core and converter behind Fastify) answering SVG for a repeated seed, on
the same core in the same call. The last line ends in how many times faster a 304 is.
"""

import shutil
import urllib.request
from typing import Any

import peers
from harness import Server, kao, load, serving

PATH = "/avatar?seed=42"


def measure(label: str, server: Server, path: str, **options: Any) -> float:
    """Measure, print, and return requests a second."""
    result = load(server, path, **options)
    print(f"{label:34} {result}", flush=True)
    return result.rate


def dicebear() -> float | None:
    """SVG a second for one seed; None without npm."""
    node = peers.node()
    if node is None:
        return None
    program, folder = node
    script = shutil.copy(peers.FOLDER / "dicebear.mjs", folder)
    with serving([program, script], "/svg?seed=1") as server:
        return measure("DiceBear, SVG of one seed", server, "/svg?seed=42")


def main() -> None:
    """Measure both sides and print the ratios."""
    with kao() as server:
        with urllib.request.urlopen(server.url(PATH)) as answer:
            tag = answer.headers["ETag"]
        not_modified_rate = measure(
            "Kao, 304", server, PATH, headers={"If-None-Match": tag}, status=304
        )
        cached_rate = measure("Kao, 200 of one seed", server, PATH)
        measure("Kao, 200, 16 px", server, f"{PATH}&size=16")
    theirs = dicebear()
    if theirs:
        print(f"\na repeated seed (PNG) against DiceBear's SVG: {cached_rate / theirs:.2f}")
        print(f"a 304 against DiceBear's SVG: {not_modified_rate / theirs:.2f}")


if __name__ == "__main__":
    main()
