"""A real browser before a real server: a browser for each module, a fresh profile for each test."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
import torch
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from models import bootstrap, bundle, runs
from models.database.engine import connect, migrate
from models.faces.attributes import Attribute
from models.networks import build
from models.recipes.recipe import Recipe, resolve
from models.registry import Registry
from models.settings import Settings
from tests.browser.types import PictureOf, Visit, attribute_of
from tests.support.live_app import running
from worker.datasets.packing import PackedDataset
from worker.publishing.bundle_writer import write
from worker.training.batches import Reals
from worker.training.trainer import Trainer

KEY = "kao_a-key-for-the-tests"
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Without these a browser asks its maker's servers, or for a GPU that is not there.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 90_000  # ms; at a load of 20 the first page took more than 30 s
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def site_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of the server that `site` starts."""
    home = tmp_path_factory.mktemp("site") / "home"
    return Settings(home=home, api_key=KEY, threads=1, limit_pictures="none")


@pytest.fixture(scope="session")
def site(site_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with two models: `default` has no traits, the other has two."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "shipped").mkdir()
    settings = site_settings
    engine = connect(settings)
    migrate(engine)
    registry = Registry(engine, settings.storage)
    for source in (write_plain_bundle(folder / "plain"), _labelled_folder(folder / "labelled")):
        registry.import_folder(source)
    engine.dispose()
    with ExitStack() as stack:
        # For its start alone: what comes after these tests has the models that come with Kao.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bootstrap, "SHIPPED", folder / "shipped")
            live = stack.enter_context(running(settings))
        yield live.url


def write_plain_bundle(folder: Path) -> Path:
    """Write a bundle of random weights without traits; its folder."""
    recipe = resolve({"preset": "smoke"})
    with torch.random.fork_rng():
        # Before the weights: of some, two faces are so alike that WebP keeps one frame of a loop.
        torch.manual_seed(0)
        generator = build.generator(recipe)
        generator(torch.randn(16, recipe.latent))
    return _written(folder, recipe, generator.eval(), "plain")


def _labelled_folder(folder: Path) -> Path:
    recipe = resolve({"preset": "smoke", "labels": ["hair", "smile"], "dataset_limit": None})
    codes = np.arange(60) % 3
    labels: dict[str, dict[str, list[Any]]] = {
        "hair": {"values": ["black", "pink", "green"], "codes": codes.tolist()},
        "smile": {"values": ["no", "yes"], "codes": (codes % 2).tolist()},
    }
    pixels = np.zeros((60, recipe.resolution, recipe.resolution, 3), np.uint8)
    reals = Reals(pixels, recipe, torch.device("cpu"), labels=labels)
    trainer = Trainer(recipe, reals, torch.device("cpu"), bf16=False)
    trainer.advance()
    return _written(folder, recipe, trainer.average, "labelled", reals.attributes)


def _written(
    folder: Path,
    recipe: Recipe,
    generator: torch.nn.Module,
    name: str,
    attributes: Sequence[Attribute] = (),
) -> Path:
    folder.mkdir()
    dataset = PackedDataset(folder, name, "0" * 64, "CC0-1.0", "nobody", 64, recipe.resolution)
    training = bundle.Training(images=1, seconds=60, device="CPU")
    write(folder, generator, recipe, dataset, training, None, {}, list(attributes))
    return folder


@pytest.fixture(scope="session")
def labelled_model(site: str) -> str:
    """The version of the site's model with the traits `hair` and `smile`."""
    models = httpx.get(f"{site}/models", trust_env=False).json()
    (version,) = {row["version"] for row in models["models"]} - set(models["aliases"].values())
    return str(version)


# Not for the session: while Playwright is open, no other test may call asyncio.run in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium here: `apt-get install chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, site: str) -> Iterator[Visit]:
    """Open an address in a profile of its own; options of the browser's context as keywords.

    `session` logs in to the studio.

    A page that fails in its script, logs an error or asks another host fails its test.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def log_error(line: ConsoleMessage) -> None:
        if line.type == "error":
            complaints.append(line.text)

    def check_host(request: Request) -> None:
        if not request.url.startswith((f"{site}/", "data:", "blob:")):
            complaints.append(request.url)

    def visiting(
        path: str = "/",
        width: int = 1280,
        height: int = 800,
        session: bool = False,
        **options: Any,
    ) -> Page:
        context = browser.new_context(
            base_url=site, viewport={"width": width, "height": height}, **options
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        if session:
            headers = {"Origin": site}
            assert context.request.post("/session", data={"key": KEY}, headers=headers).ok
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on("console", log_error)
        page.on("request", check_host)
        # Not the load event: it waits for a hundred faces.
        page.goto(path, wait_until="domcontentloaded")
        return page

    yield visiting
    for context in contexts:
        context.close()
    assert not complaints


@dataclass
class Reporter:
    """A run of the site whose worker is the test: it reports what the test needs."""

    database: sa.Engine
    id: str
    fence: runs.Fence

    def report(self, event: str, **data: Any) -> None:
        """Append an event, as a worker does."""
        progress = event == "run.progress"
        runs.record(self.database, self.id, self.fence, event, data, progress)

    def fail(self, error: str) -> None:
        """End the run."""
        runs.finish(self.database, self.id, self.fence, "fail", error=error)

    def cancel(self) -> None:
        """End the run as cancelled."""
        runs.finish(self.database, self.id, self.fence, "cancel")

    def progress(self, images: int, **data: Any) -> None:
        """Append a `run.progress` with plausible numbers; `data` replaces some of them."""
        numbers = {"images": images, "g_loss": 1 + 100 / images, "d_loss": 0.7}
        rates = {"images_per_second": 80.0, "fraction": images / 10_000, "seconds_left": 60}
        self.report("run.progress", **{**numbers, **rates, **data})


@pytest.fixture
def start_run(site: str, site_settings: Settings) -> Iterator[Callable[..., Reporter]]:
    """Create a run on the site and claim it; recipe fields as keywords."""
    engine = connect(site_settings)

    def start(preset: str = "smoke", **fields: Any) -> Reporter:
        recipe = resolve({"preset": preset, **fields})
        row, _ = runs.create(engine, recipe, {"preset": preset, **fields})
        claim = runs.claim(engine, row["id"])
        assert claim is not None
        return Reporter(engine, row["id"], claim[1])

    yield start
    engine.dispose()


@pytest.fixture
def picture_of() -> PictureOf:
    """Wait until a frame shows a picture whose address has this; its path and parameters."""

    def picture(page: Page, frame: str, part: str = "") -> dict[str, str]:
        # Playwright's wait_for_function evaluates text, which the pages' policy forbids.
        expect(page.locator(frame)).to_have_attribute(
            "data-shown", re.compile(re.escape(part) or ".")
        )
        url = urlsplit(attribute_of(page.locator(frame), "data-shown"))
        return {"path": url.path, **dict(parse_qsl(url.query, keep_blank_values=True))}

    return picture


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """A client that is no browser."""
    with httpx.Client(timeout=30, trust_env=False) as client:
        yield client
