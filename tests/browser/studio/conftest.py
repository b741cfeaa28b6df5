"""One `kao up` for the studio's tests of a file, and browsers before it."""

import io
import secrets
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.studio.types import Enter
from tests.support.kao_up import Up


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """One `kao up` for all of these tests."""
    with tempfile.TemporaryDirectory(prefix="kao-", ignore_cleanup_errors=True) as folder:
        running = Up(Path(folder) / "home")
        yield running
        running.stop()


@pytest.fixture
def enter(browser: Browser, up: Up) -> Iterator[Enter]:
    """Open a page in a profile of its own, logged in by default.

    A script that fails or breaks the page's policy fails the test.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def entering(
        path: str = "/studio",
        *,
        session: bool = True,
        width: int = 1280,
        height: int = 800,
        **options: Any,
    ) -> Page:
        context = browser.new_context(
            base_url=up.url, viewport={"width": width, "height": height}, **options
        )
        context.set_default_timeout(60_000)
        contexts.append(context)
        if session:
            headers = {"Origin": up.url}
            assert context.request.post("/session", data={"key": up.secret}, headers=headers).ok
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda line: (
                complaints.append(line.text) if "Content Security Policy" in line.text else None
            ),
        )
        page.goto(path)
        return page

    yield entering
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def cancel_runs(up: Up) -> Iterator[None]:
    """Cancel the runs that a test leaves behind, also where it fails."""
    yield
    for run in up.client.get("/train", headers=up.key).json()["runs"]:
        if run["state"] in ("queued", "running"):
            up.client.post(f"/train/{run['id']}/cancel", headers=up.key)
            up.finished(f"/train/{run['id']}")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve pictures, two of them the same."""
    folder = tmp_path_factory.mktemp("pictures") / "Some Faces"
    folder.mkdir()
    for index in range(12):
        Image.new("RGB", (40, 30), (20 * max(1, index), 100, 200)).save(folder / f"{index:02}.png")
    return folder


@pytest.fixture(scope="module")
def dataset(up: Up, pictures: Path) -> str:
    """Its name on the server; another one where this is called again after a failure."""
    name = f"mine-{secrets.token_hex(4)}"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(pictures.iterdir()):
            archive.write(path, path.name)
    path_of_zip = pictures.parent / "mine.zip"
    path_of_zip.write_bytes(file.getvalue())
    up.kao.upload(name, path_of_zip)
    return name


@pytest.fixture(scope="module")
def finished_run(up: Up, dataset: str) -> dict[str, Any]:
    """A run that is over."""
    return up.finished(up.train(preset="smoke", dataset=dataset, images=160, sheet_images=80), 600)
