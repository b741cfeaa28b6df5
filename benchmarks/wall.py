"""Does the playground's wall scroll smoothly: which share of script tasks takes over 50 ms?

    python benchmarks/wall.py [--faces 5000] [--width 1600]

Serves the shipped model on a home of its own, scrolls the wall frame by frame in Chromium past so
many faces, and reads the browser's trace. The same page and server with the wall left alone is the
bare loop to compare with. 50 ms is where a task is long (W3C Long Tasks). On a machine with other
work a task also waits for a processor, so its thread's own time is printed beside the clock's.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import harness
from playwright.sync_api import Page, sync_playwright

LONG = 50_000  # µs
STEP = 240  # pixels a frame: a fast hand
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
SCROLL = """async faces => {
  const last = () => Number([...document.querySelectorAll('#wall a')].at(-1).dataset.number);
  let most = 0;
  while (last() < faces) {
    scrollBy({top: %d, behavior: 'instant'});
    await new Promise(requestAnimationFrame);
    most = Math.max(most, document.querySelectorAll('#wall a').length);
  }
  return most;
}"""
IDLE = "() => new Promise(done => setTimeout(done, 10000))"


def main() -> None:
    """Print both shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faces", type=int, default=5000)
    parser.add_argument("--width", type=int, default=1600)
    options = parser.parse_args()
    with harness.kao(is_pinned=False) as server:
        measure(server.url("/"), options.faces, options.width)


def measure(url: str, faces: int, width: int) -> None:
    """Trace the page at `url` at rest, then scrolled."""
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.set_default_timeout(600_000)
        page.goto(url)
        page.locator("#wall img.here").first.wait_for(state="attached")
        for name, script in (("at rest", IDLE), ("scrolled", SCROLL % STEP)):
            start = time.monotonic()
            most, tasks = trace(page, script, faces)
            print(
                f"{name}: {time.monotonic() - start:.1f} s, {len(tasks)} script tasks"
                + (f", at most {most} faces in the document" if most else "")
            )
            if not tasks:
                continue
            clocks = ("by the clock", "of the thread")
            for clock, times in zip(clocks, zip(*tasks, strict=True), strict=True):
                long = sum(duration > LONG for duration in times)
                print(
                    f"  {clock}: {long} over 50 ms ({100 * long / len(times):.2f} %), "
                    f"longest {max(times) / 1000:.1f} ms"
                )
        browser.close()


def trace(page: Page, script: str, faces: int) -> tuple[int | None, list[tuple[float, float]]]:
    """What the script returns, and the µs of each task that ran script, by both clocks."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        browser = page.context.browser
        assert browser is not None
        browser.start_tracing(
            page=page, path=file.name, categories=["devtools.timeline", "toplevel"]
        )
        most = page.evaluate(script, faces)
        browser.stop_tracing()
        events = json.loads(Path(file.name).read_text())["traceEvents"]
    return most, list(script_tasks(events))


def script_tasks(events: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """The durations of the main thread's tasks with a FunctionCall or a frame's callback inside."""
    whole = [event for event in events if event.get("ph") == "X"]
    calls = [e for e in whole if e["name"] in ("FunctionCall", "FireAnimationFrame", "TimerFire")]
    durations = []
    for thread in {(call["pid"], call["tid"]) for call in calls}:
        times = sorted(call["ts"] for call in calls if (call["pid"], call["tid"]) == thread)
        tasks = [
            e for e in whole if e["name"].endswith("RunTask") and (e["pid"], e["tid"]) == thread
        ]
        for task in sorted(tasks, key=lambda task: task["ts"]):
            end = task["ts"] + task["dur"]
            while times and times[0] < task["ts"]:
                times.pop(0)
            if times and times[0] < end:
                durations.append((float(task["dur"]), float(task.get("tdur", task["dur"]))))
    return durations


if __name__ == "__main__":
    main()
