"""The pictures of the pages in README.md, taken of a Kao that runs, in its newest run and model.

    python docs/screenshots.py http://localhost:8000 "$KAO_HOME/api-key"

Debian's Chromium, or another that is on the path. Letters look as the fonts of this machine do;
without a Chinese one the switch of languages is two boxes.
"""

import io
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

FOLDER = Path(__file__).parent / "pictures"
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
SIZE = {"width": 1440, "height": 900}
SETTLE_TIME = 3000  # ms; the curves of a run, the last pictures
QUALITY = 84


def main() -> None:
    """Write all of them."""
    url, key = sys.argv[1], Path(sys.argv[2]).read_text().strip()
    with sync_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        for name, path, ready, options in _pictures(browser, url, key):
            context = browser.new_context(
                base_url=url, viewport=SIZE, reduced_motion="reduce", **options
            )
            context.request.post("/session", data={"key": key}, headers={"Origin": url})
            page = context.new_page()
            page.goto(path, wait_until="domcontentloaded")
            page.locator(ready).wait_for(state="attached")
            page.wait_for_timeout(SETTLE_TIME)
            screenshot = page.screenshot(full_page=path.startswith("/studio"))
            Image.open(io.BytesIO(screenshot)).save(FOLDER / name, quality=QUALITY, method=6)
            print(FOLDER / name)
            context.close()
        browser.close()


def _pictures(browser: Browser, url: str, key: str) -> list[tuple[str, str, str, dict[str, Any]]]:
    """(file name, address, selector of an element that shows it is ready, context options)."""
    api = browser.new_context(
        base_url=url, extra_http_headers={"Authorization": f"Bearer {key}"}
    ).request
    run = next(run["id"] for run in api.get("/train").json()["runs"] if run["progress"])
    model = api.get("/models").json()["models"][0]["version"]
    dark = {"color_scheme": "dark"}
    morph = "/?seed=joan&open=1&view=morph&with=stephanie&t=0.4"
    return [
        ("playground.webp", "/?seed=Noah", "#wall img.here >> nth=17", {}),
        ("playground-morph.webp", morph, "#picture img", dark),
        ("studio-run.webp", f"/studio/runs/{run}", "#sheet img", {}),
        ("studio-model.webp", f"/studio/models/{model}", "img.wide-sheet >> nth=-1", dark),
    ]


if __name__ == "__main__":
    main()
