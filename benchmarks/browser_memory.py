"""Memory of Chromium on pages that draw faces, in MiB above the same browser with an empty page.

    python benchmarks/browser_memory.py [--scripts FOLDER] [--repeats 3] [--only "drawn here"]

Proportional set size (PSS) of all its processes, 2 s after the last action and 15 s later: of all
memory, and of anonymous and shared memory alone, which the pages of the program are no part of.
The former moves by tens of MiB while other browsers on the machine start and end.
--scripts: a folder with other builds of clients/js/local, for instance of an earlier commit.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import httpx
import psutil
import typer
from playwright.sync_api import Browser, Page, sync_playwright

from app.local import routes
from models.settings import Settings
from tests.support.live_app import running

SETTLE_SECONDS = 15  # s, in which browsers collect garbage
SEEDS = 20
PATIENCE = 120_000  # ms
# Moves a slider at each frame for some seconds.
MOVE = """
([id, seconds]) => new Promise(done => {
  const slider = document.getElementById(id);
  const start = performance.now();
  const step = () => {
    if (performance.now() - start > 1000 * seconds) return done(true);
    slider.value = ((performance.now() - start) / 10 % 100) / 100;
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    requestAnimationFrame(step);
  };
  step();
})
"""
WALL_IS_THERE = "[...document.querySelectorAll('#wall img')].every(image => image.complete)"


def main(
    scripts: Annotated[Path | None, typer.Option()] = None,
    repeats: Annotated[int, typer.Option()] = 1,
    only: Annotated[str | None, typer.Option()] = None,
) -> None:
    """Print one JSON line for each page and repetition."""
    if scripts is not None:
        routes.FOLDER = scripts
    pages = {"/local": visit_local, "playground": visit_playground, "drawn here": draw_here}
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        settings = Settings(home=Path(home), threads=1, limit_pictures="none", limit_calls="none")
        program = shutil.which("chromium") or shutil.which("google-chrome")
        with running(settings) as app:
            manifest = f"{app.url}/models/default/browser.json"
            httpx.get(manifest, trust_env=False, timeout=60)  # packs once
            for name, visit in [*pages.items()] * repeats:
                if only not in (None, name):
                    continue
                browser = playwright.chromium.launch(
                    executable_path=program, args=["--no-sandbox", "--disable-gpu"]
                )
                line = {"page": name, **measure(browser, app.url, visit)}
                print(json.dumps({**line, "load": round(os.getloadavg()[0], 1)}), flush=True)
                browser.close()


def measure(browser: Browser, site: str, visit: Callable[[Page, str], None]) -> dict[str, int]:
    """MiB of the browser with a page above those with an empty one."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE)
    page.goto("about:blank")
    time.sleep(2)
    empty = memory()
    visit(page, site)
    results = {}
    for seconds in (2, SETTLE_SECONDS):
        time.sleep(seconds)
        total, own = (one - other for one, other in zip(memory(), empty, strict=True))
        results[f"MiB after {seconds} s"] = round(total)
        results[f"of them no file, after {seconds} s"] = round(own)
    return results


def memory() -> tuple[float, float]:
    """PSS of all processes of the browser, MiB: of all memory, and without files."""
    total, own = 0, 0
    for process in psutil.Process().children(recursive=True):
        try:
            if "chrom" not in process.name():
                continue
            text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except (psutil.Error, OSError):
            continue
        sizes = {line.split(":")[0]: line.split()[1] for line in text.splitlines()[1:]}
        total += int(sizes["Pss"])
        own += int(sizes["Pss_Anon"]) + int(sizes["Pss_Shmem"])
    return total / 1024, own / 1024


def visit_local(page: Page, site: str) -> None:
    """A large face and 200 small ones."""
    page.goto(f"{site}/local")
    wait_until(lambda: "Then" in (page.locator("#state").text_content() or ""))


def visit_playground(page: Page, site: str) -> None:
    """The wall, and some seeds one after the other."""
    page.goto(site)
    page.wait_for_selector("#wall img.here", state="attached")
    wait_until(lambda: bool(page.evaluate(WALL_IS_THERE)))
    for seed in range(SEEDS):
        page.locator("#seed").fill(f"seed {seed}")
        time.sleep(0.2)


def draw_here(page: Page, site: str) -> None:
    """The same with the switch "Drawn here", and a morph that moves for three seconds."""
    page.goto(site)
    page.locator("#here").check()
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    visit_playground(page, site)
    page.goto(f"{site}/?open=1&view=morph")
    page.wait_for_selector("#picture img", state="attached")
    page.evaluate(MOVE, ["t", 3])


def wait_until(condition: Callable[[], bool]) -> None:
    """Raises TimeoutError after two minutes."""
    end = time.monotonic() + 120
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("The page did not get ready.")
        time.sleep(0.2)


if __name__ == "__main__":
    typer.run(main)
