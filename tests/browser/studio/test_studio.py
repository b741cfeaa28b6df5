"""The studio as users see it: a real browser, a real server, a real worker and its queue."""

import io
import re
import secrets
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from PIL import Image
from playwright.sync_api import Page, expect

from models.settings import Settings
from tests.browser.studio.types import Enter
from tests.browser.types import attribute_of
from tests.browser.waits import click_to_load, until
from tests.support.kao_up import Up

pytestmark = pytest.mark.slow

LONG = 120_000  # ms; an upload, or a promotion, which loads the model and draws with it


@pytest.fixture
def former_default(up: Up) -> Iterator[None]:
    """Serve the model that was the default before the test, also where the test fails."""

    def default() -> str:
        return next(model.version for model in up.kao.models() if "default" in model.aliases)

    before = default()
    yield
    if default() != before:
        up.kao.promote(before, force=True)


def _sheets(up: Up, run: str) -> list[str]:
    """The names of a run's sheets, the oldest first."""
    addresses = up.client.get(f"/train/{run}/sheets", headers=up.key).json()
    return [address.rpartition("/")[2] for address in addresses]


def _name(stem: str) -> str:
    """A dataset's name that no other test has, nor a first try of this one."""
    return f"{stem}-{secrets.token_hex(4)}"


# long: one story, whose steps need the ones before
@pytest.mark.usefixtures("former_default")
# long: one visit, from pictures to a model that serves and back
def test_pictures_become_a_model_that_serves_by_clicks_alone(
    enter: Enter, up: Up, pictures: Path
) -> None:
    name = _name("some-faces")
    page = enter(session=False)
    page.get_by_label("API key").fill(up.secret)
    click_to_load(page.get_by_role("button", name="Log in"))

    click_to_load(page.get_by_role("link", name="Datasets"))
    page.locator("#folder").set_input_files(pictures)
    expect(page.get_by_label("Name", exact=True)).to_have_value("some-faces")
    page.get_by_label("Name", exact=True).fill(name)
    click_to_load(page.get_by_role("button", name="Upload"), LONG)
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.locator("main")).to_contain_text("12 images")
    expect(page.locator("#alike")).to_contain_text("00.png = Some Faces/01.png")
    click_to_load(page.get_by_role("link", name="Datasets"))
    until(page, f"document.querySelector('[data-set={name}] img').naturalWidth > 100")

    click_to_load(page.get_by_role("link", name="Runs"))
    click_to_load(page.get_by_role("link", name="Start a run"))
    page.get_by_role("radio", name=re.compile("smoke")).check()
    page.get_by_label("dataset", exact=True).select_option(name)
    page.get_by_label("images", exact=True).fill("320")
    page.get_by_text("Sheets, measurements, publishing").click()
    page.get_by_label("sheet_images", exact=True).fill("80")
    expect(page.locator("#changes")).to_contain_text("dataset, ")
    click_to_load(page.locator("#start-run"))

    expect(page.locator("#badge")).to_have_text("done", timeout=180_000)
    expect(page.locator("[data-number=images]")).to_have_text("320")
    expect(page.locator("[data-number=seconds_left]")).to_have_text("–")
    expect(page.locator("#bar")).to_have_js_property("value", 1)
    drawn_sheets = _sheets(up, page.url.rpartition("/")[2])
    # A slow machine draws some before the first that the recipe asks for.
    assert drawn_sheets[-4:] == [f"{images:010}.png" for images in (80, 160, 240, 320)]
    scrub = page.locator("#scrub")
    expect(scrub).to_have_attribute("max", str(len(drawn_sheets) - 1))
    scrub.fill(str(len(drawn_sheets) - 4))
    until(page, "document.getElementById('sheet').dataset.shown === '0000000080.png'")
    expect(page.locator("#sheet-caption")).to_contain_text("after 80 images")
    expect(page.locator("[data-curve=losses] :is(polyline, circle)")).to_have_count(2)

    before = up.client.get("/avatar?seed=42")
    click_to_load(page.get_by_role("link", name="See the model"))
    sheets = page.locator("img.wide-sheet")
    expect(sheets).to_have_count(2)
    until(
        page,
        "[...document.querySelectorAll('img.wide-sheet')].every(one => one.naturalWidth === 512)",
    )
    addresses = [attribute_of(sheets.nth(place), "src") for place in range(2)]
    without_models = [re.sub("&model=.*", "", address) for address in addresses]
    assert without_models[0] == without_models[1]
    assert addresses[0] != addresses[1]
    page.get_by_role("button", name="Promote").click()
    confirm = page.get_by_role("dialog")
    confirm.get_by_label("Promote it all the same").check()
    click_to_load(confirm.get_by_role("button", name="Promote"), LONG)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    after = up.client.get("/avatar?seed=42")
    assert page.url.endswith(after.headers["X-Avatar-Model"])
    assert after.content != before.content

    page.on("dialog", lambda dialog: dialog.accept())
    click_to_load(page.get_by_role("button", name="Roll back"), LONG)
    assert page.url.endswith(f"/studio/models/{before.headers['X-Avatar-Model']}")
    assert up.client.get("/avatar?seed=42").content == before.content


@pytest.mark.usefixtures("cancel_runs")
def test_a_page_catches_up_when_its_server_was_killed(enter: Enter, up: Up, dataset: str) -> None:
    location = up.train(preset="smoke", dataset=dataset, images=8_000, sheet_images=1_000)
    page = enter(f"/studio{location.replace('train', 'runs')}")
    until(page, "Number(document.getElementById('run').dataset.last) > 3")
    up.kill(r"kao serve")
    expect(page.locator("#lost")).to_be_visible(timeout=60_000)
    expect(page.locator("#badge")).to_have_text("done", timeout=240_000)
    expect(page.locator("#lost")).to_be_hidden()
    events = up.events(location)
    place = page.locator("#run")
    expect(place).to_have_attribute("data-last", str(events[-1].number))
    expect(place).to_have_attribute("data-gaps", "0")
    starts = [event for event in events if event.type == "run.started"]
    assert page.locator("#log").get_by_text("A worker started it").count() == len(starts)
    sheets = {event.data["sheet"] for event in events if event.type == "sheet.drawn"}
    expect(page.locator("#scrub")).to_have_attribute("max", str(len(sheets) - 1))


@pytest.mark.usefixtures("cancel_runs")
def test_a_run_is_cancelled_and_resumed_by_clicks(enter: Enter, up: Up, dataset: str) -> None:
    location = up.train(preset="smoke", dataset=dataset, minutes=30)
    page = enter(f"/studio{location.replace('train', 'runs')}")
    expect(page.locator("[data-number=images]")).not_to_have_text("–", timeout=240_000)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#badge")).to_have_text("cancelled", timeout=120_000)
    assert up.run(location)["state"] == "cancelled"
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#log")).to_contain_text("Continues after", timeout=120_000)
    expect(page.locator("#badge")).to_have_text("running")
    expect(page.locator("#run")).to_have_attribute("data-gaps", "0")


def test_runs_are_compared_side_by_side(
    enter: Enter, up: Up, dataset: str, finished_run: dict[str, Any]
) -> None:
    other = up.finished(up.train(preset="smoke", dataset=dataset, images=160, sheet_images=80), 600)
    page = enter()
    for run in (finished_run, other):
        page.locator(f"input[value='{run['id']}']").check()
    click_to_load(page.get_by_role("button", name="Compare"))
    until(
        page,
        "[...document.querySelectorAll('[data-sheets] .frame')]"
        ".filter(one => one.dataset.shown === '0000000160.png').length === 2",
    )
    # Two runs with two losses each; a run that took under a second has points, not lines.
    expect(page.locator("[data-curve=losses] :is(polyline, circle)")).to_have_count(4)
    page.get_by_label("Through the training").fill("500")
    until(
        page,
        "[...document.querySelectorAll('[data-sheets] .frame')]"
        ".every(one => one.dataset.shown === '0000000080.png')",
    )


def test_the_error_for_a_wrong_key_names_the_file_of_the_right_one(enter: Enter) -> None:
    page = enter(session=False)
    page.get_by_label("API key").fill("kao_wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("file api-key in KAO_HOME")
    expect(page.get_by_label("API key")).to_be_focused()


def test_a_labelled_zip_is_trained_on_by_clicks(enter: Enter, up: Up, tmp_path: Path) -> None:
    name = _name("hats")
    labelled_model = tmp_path / f"{name}.zip"
    rows = ["file_name,Hat,Caption"]
    with zipfile.ZipFile(labelled_model, "w") as archive:
        for index in range(16):
            file = io.BytesIO()
            Image.new("RGB", (40, 30), (15 * index, 100, 200)).save(file, "PNG")
            archive.writestr(f"{index:02}.png", file.getvalue())
            rows.append(f"{index:02}.png,{('cap', 'crown')[index % 2]},text {index}")
        archive.writestr("metadata.csv", "\n".join(rows))
    page = enter("/studio/datasets")
    page.locator("#zip").set_input_files(labelled_model)
    click_to_load(page.get_by_role("button", name="Upload"), LONG)
    expect(page.locator("main")).to_contain_text("16 images")
    expect(page.locator("[data-attribute=hat] tbody tr")).to_have_count(2)
    page.locator("[data-attribute=hat] img").first.scroll_into_view_if_needed()
    until(page, "document.querySelector('[data-attribute=hat] img').naturalWidth > 100")
    page.get_by_role("checkbox", name="hat").check()
    click_to_load(page.get_by_role("button", name="Train on this"))
    expect(page.locator("#ticks").get_by_role("checkbox", name="hat")).to_be_checked()
    page.get_by_label("dataset", exact=True).select_option("starter")
    expect(page.locator("#ticks").get_by_role("checkbox", name="hair_colour")).not_to_be_checked()
    page.get_by_label("dataset", exact=True).select_option(name)
    page.locator("#ticks").get_by_role("checkbox", name="hat").check()
    expect(page.locator("#changes")).to_contain_text("labels")
    page.get_by_role("radio", name=re.compile("smoke")).check()
    click_to_load(page.locator("#start-run"))
    run = page.url.rpartition("/")[2]
    run_row = up.finished(f"/train/{run}", 600)
    assert (run_row["recipe"]["dataset"], run_row["recipe"]["labels"]) == (name, ["hat"])
    faces = [
        up.client.get(f"/avatar?seed=42&model={run_row['version']}&hat={hat}").content
        for hat in ("cap", "crown")
    ]
    assert faces[0] != faces[1]


def _folder(where: Path) -> Path:
    """Five hundred pictures in two class folders, one broken, and what systems leave in folders."""
    folder = where / "Hats & Caps"
    colours = np.random.default_rng(0).integers(0, 256, (500, 2, 2, 3), np.uint8)
    for number, colour in enumerate(colours):
        path = folder / ("hat", "cap")[number % 2] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(colour).resize((16, 16), Image.Resampling.NEAREST).save(path)
    (folder / "hat" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "cap" / "Thumbs.db").write_bytes(b"x")
    (folder / "cap" / "._001.png").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    return folder


@pytest.mark.usefixtures("cancel_runs")  # another test trains to the end
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_a_folder_of_classes_becomes_a_run_by_clicks(
    enter: Enter, up: Up, tmp_path: Path, locale: str
) -> None:
    name = _name("hats")
    page = enter("/studio/datasets", locale=locale)
    folder = _folder(tmp_path)
    page.on("filechooser", lambda chooser: chooser.set_files(folder))
    page.locator("label[for=folder]").click()
    expect(page.locator("#chosen")).to_contain_text("Hats & Caps")
    expect(page.locator("#name")).to_have_value("hats-caps")
    page.locator("#name").fill(name)
    click_to_load(page.locator("#send"), LONG)
    expect(page.locator("main p.note").first).to_contain_text(re.compile(r"^\s*500 "))
    values = page.locator("[data-attribute=class] tbody tr")
    expect(values).to_have_count(2)
    for value in ("cap", "hat"):  # 500 pictures: the broken one counts for no class
        expect(values.filter(has_text=value)).to_contain_text("250 · 50.0 %")
    for left_out in (".DS_Store", "Thumbs.db", "._001.png", "notes.txt", "broken.jpg"):
        expect(page.locator("#left-out")).to_contain_text(left_out)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("[name=label][value=class]").check()
    click_to_load(page.locator("#labels .button.primary"))
    expect(page.locator("#ticks input[value=class]")).to_be_checked()
    page.locator("input[name=preset][value=smoke]").check()
    click_to_load(page.locator("#start-run"))
    recipe = up.run(f"/train/{page.url.rpartition('/')[2]}")["recipe"]
    assert (recipe["dataset"], recipe["labels"]) == (name, ["class"])


def test_an_evil_zip_is_refused_with_its_reason(enter: Enter, tmp_path: Path) -> None:
    evil = tmp_path / "evil.zip"
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("../../outside.png", b"x")
    page = enter("/studio/datasets")
    page.locator("#zip").set_input_files(evil)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("alert")).to_contain_text("points outside the archive", timeout=60_000)
    expect(page.locator("[data-set=evil]")).to_have_count(0)


def test_what_is_dropped_is_taken(enter: Enter, pictures: Path, tmp_path: Path) -> None:
    archive = tmp_path / "Mine too.zip"
    with zipfile.ZipFile(archive, "w") as written:
        written.write(pictures / "00.png", "00.png")
    page = enter("/studio/datasets")
    for place, file, sentence, name in (
        ("#drop", pictures, "Some Faces, 12 of 12 files", "some-faces"),
        (
            "#drop",
            archive,
            "Mine too.zip",
            "mine-too",
        ),  # its name replaces the one suggested before
        ("h1", pictures / "01.png", "01, 1 of 1 files", "01"),  # beside the zone
    ):
        _drop(page, place, file)
        expect(page.locator("#chosen")).to_contain_text(sentence)
        expect(page.locator("#name")).to_have_value(name)
        expect(page.locator("#drop")).not_to_have_class(re.compile("over"))
    page.locator("#name").fill("my-own")
    _drop(page, "#drop", archive)
    expect(page.locator("#chosen")).to_contain_text("Mine too.zip")
    expect(page.locator("#name")).to_have_value("my-own")


def _drop(page: Page, place: str, file: Path) -> None:
    """As from the desktop: a script may not make up the entries of a folder."""
    box = page.locator(place).bounding_box()
    assert box is not None
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    where = {"x": box["x"] + 20, "y": box["y"] + 20, "data": data}
    browser = page.context.new_cdp_session(page)
    for type in ("dragEnter", "dragOver", "drop"):
        browser.send("Input.dispatchDragEvent", {"type": type, **where})
    browser.detach()


def test_a_full_queue_is_reported_and_starts_nothing(enter: Enter, up: Up) -> None:
    before = _runs(up)
    socket = Settings(home=up.home).redis_socket
    with redis.Redis(unix_socket_path=str(socket)) as queue:
        page = enter("/studio/new")
        page.get_by_role("radio", name=re.compile("smoke")).check()
        queue.config_set("maxmemory", "1")
        try:
            page.locator("#start-run").click()
            expect(page.get_by_role("alert")).to_contain_text("queue", timeout=60_000)
        finally:
            queue.config_set("maxmemory", "0")
    assert page.url.endswith("/studio/new")
    assert _runs(up) == before


def _runs(up: Up) -> list[str]:
    return [str(run["id"]) for run in up.client.get("/train", headers=up.key).json()["runs"]]


def test_a_recipe_that_cannot_be_says_which_field(enter: Enter) -> None:
    page = enter("/studio/new")
    page.get_by_role("radio", name=re.compile("smoke")).check()
    page.get_by_text("Networks", exact=True).click()
    page.get_by_label("resolution", exact=True).fill("33")
    page.locator("#start-run").click()
    expect(page.get_by_role("alert")).to_contain_text("nearest to 33: 32")


def test_logging_out_closes_the_studio(enter: Enter) -> None:
    page = enter()
    click_to_load(page.get_by_role("button", name="Log out"))
    expect(page.get_by_label("API key")).to_be_visible()
    page.goto("/studio/models")
    expect(page.get_by_label("API key")).to_be_visible()
