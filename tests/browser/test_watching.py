"""The pages of runs while they train: the test reports what a worker would."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import KEY, Reporter
from tests.browser.types import Visit
from tests.browser.waits import click_to_load, next_document
from tests.support.durations import DURATIONS

pytestmark = pytest.mark.slow  # a second each, and some tens of them

StartRun = Callable[..., Reporter]

# Every mutation is one callback or more; states that follow each other at once are one of them,
# so each setting of the attribute is counted by its old value too.
RECORD_STATES = """
window.states = [];
window.phasesShown = false;
new MutationObserver((records) => {
  const run = document.getElementById("run");
  const past = records.filter((one) => one.attributeName === "data-state" && one.target === run);
  for (const state of [...past.map((one) => one.oldValue), run?.dataset.state]) {
    if (state && state !== window.states.at(-1)) window.states.push(state);
  }
  const phases = document.getElementById("phases");
  window.phasesShown ||= Boolean(phases && !phases.hidden);
}).observe(document, {subtree: true, childList: true, attributes: true, attributeOldValue: true});
"""


def watch(visit: Visit, run: Reporter, **options: object) -> Page:
    """Open a run's page and wait until its events have come."""
    page = visit(f"/studio/runs/{run.id}", session=True, **options)
    expect(page.locator("#run")).to_have_attribute("data-last", re.compile(r"\d"))
    return page


def plot(page: Page, curve: str = "losses") -> Locator:
    return page.locator(f"[data-curve={curve}]")


def test_curves_are_drawn_again_after_progress(visit: Visit, start_run: StartRun) -> None:
    run = start_run()
    run.progress(80)
    run.progress(160)
    page = watch(visit, run)
    expect(plot(page)).to_have_attribute("data-points", "2")
    expect(plot(page, "speed")).to_have_attribute("data-points", "2")
    expect(plot(page, "fd").locator(".none")).to_be_visible()
    run.progress(240)
    run.report("run.measured", images=240, fd=80.5, samples=1000)
    expect(plot(page)).to_have_attribute("data-points", "3")
    expect(plot(page, "fd").locator("circle")).to_be_visible()  # one point has no line


def test_a_curve_is_read_by_pointer_and_by_keys(visit: Visit, start_run: StartRun) -> None:
    run = start_run()
    for images in (100, 200, 400):
        run.progress(images, g_loss=images / 100, d_loss=0.5)
    page = watch(visit, run)
    chart = plot(page).locator("svg")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 40)
    expect(plot(page).locator("output")).to_have_text(re.compile(r"400 .*loss 4 .*loss 0.5"))
    chart.focus()
    page.keyboard.press("Home")
    expect(plot(page).locator("output")).to_have_text(re.compile("100 .*loss 1 "))
    page.keyboard.press("ArrowRight")
    expect(plot(page).locator("output")).to_have_text(re.compile("200 .*loss 2 "))
    expect(chart).to_have_attribute("aria-label", re.compile("Latest: generator loss 4"))


def test_a_run_that_goes_on_from_another_fills_its_charts(
    visit: Visit, start_run: StartRun
) -> None:
    run = start_run()
    for images in (400_000, 410_000, 420_000):
        run.progress(images, fraction=0.2, seconds_left=35_340)
    page = watch(visit, run)
    ticks = plot(page).locator("text[text-anchor=middle]")
    expect(ticks.first).to_have_text("400K")
    expect(page.locator("#phase")).to_contain_text("about 9 h 49 min left")


def test_a_script_says_durations_as_the_templates_do(visit: Visit, start_run: StartRun) -> None:
    page = watch(visit, start_run())
    texts = page.evaluate(
        """async (durations) => {
            const script = document.querySelector("script[src$='/studio-run.js']").src;
            const { duration } = await import(script.replace("studio-run", "studio"));
            return durations.map(duration);
        }""",
        list(DURATIONS),
    )
    assert texts == list(DURATIONS.values())


def test_smoothing_and_a_logarithmic_axis_change_the_lines(
    visit: Visit, start_run: StartRun
) -> None:
    run = start_run()
    for n in range(1, 30):
        run.progress(80 * n, g_loss=10 if n % 2 else 1, d_loss=0.01)
    page = watch(visit, run)
    line = plot(page).locator("polyline").first
    expect(line).to_be_visible()
    plain = str(line.get_attribute("points"))
    page.get_by_label("Smoothing").fill("0.9")
    expect(line).not_to_have_attribute("points", plain)
    smooth = str(line.get_attribute("points"))
    page.get_by_label("Logarithmic axis").check()
    expect(line).not_to_have_attribute("points", smooth)
    page.reload()  # both are remembered
    expect(page.get_by_label("Logarithmic axis")).to_be_checked()
    expect(page.get_by_label("Smoothing")).to_have_value("0.9")


def test_the_log_says_in_the_pages_language_why_pictures_were_skipped(
    visit: Visit, start_run: StartRun
) -> None:
    run = start_run()
    skipped = [{"name": "a.psd", "reason": "PSD is not read"}]
    run.report("dataset.ready", images=8, skipped=1, skipped_first=skipped)
    page = watch(visit, run, locale="zh-CN")
    expect(page.locator("#log li").last).to_contain_text("例如 a.psd (不读取 PSD)")


def test_phases_time_left_and_the_title_follow_the_run(visit: Visit, start_run: StartRun) -> None:
    run = start_run(preset="modern-64")
    page = watch(visit, run)
    current = page.locator("#phases [aria-current]")
    expect(current).to_have_text("Preparing")
    run.report("dataset.progress", done=100, total=400)
    expect(page.locator("#phase")).to_contain_text("100 of 400 pictures")
    run.report("dataset.ready", images=400, skipped=0, skipped_first=[])
    expect(current).to_have_text("Training")
    run.progress(4300, fraction=0.43, seconds_left=600)
    expect(page).to_have_title("43 % · modern-64 · Kao")
    expect(page.locator("#phase")).to_contain_text("about 10 min left")
    run.progress(10_000, fraction=1.0, seconds_left=0)
    expect(current).to_have_text("Measuring")
    run.report("enlarger.started", pictures=400, scale=4, steps=100)
    run.report("enlarger.progress", step=30, steps=100, loss=0.1, seconds_left=120)
    expect(current).to_have_text("Enlarging")
    expect(page).to_have_title("30 % · modern-64 · Kao")
    run.report("enlarger.skipped", message="Resizing is as good.")
    expect(current).to_have_text("Publishing")
    run.fail("planted")
    expect(page).to_have_title("failed · modern-64 · Kao")
    expect(page.locator("#phases")).to_be_hidden()
    expect(page.locator("#run")).to_have_attribute("data-gaps", "0")


def test_cancelling_leaves_the_focus_and_no_place_for_sheets(
    visit: Visit, start_run: StartRun
) -> None:
    run = start_run()
    page = watch(visit, run)
    badge = page.locator("#badge")
    page.locator("#cancel").press("Enter")
    expect(badge).to_have_text("cancelling …")
    expect(page.locator("#cancel")).to_be_focused()
    run.cancel()
    expect(badge).to_have_text("cancelled")
    expect(badge).to_be_focused()
    expect(page.locator("#no-sheet")).to_have_text("This run drew no sheet.")
    expect(page.locator("#scrub")).to_be_hidden()
    page.locator("#resume").press("Enter")
    expect(page.locator("#no-sheet")).to_contain_text("No sheet yet")
    expect(badge).to_be_focused()
    expect(page.locator("#scrub")).to_be_visible()


def test_a_run_that_was_cancelled_is_not_being_cancelled(visit: Visit, start_run: StartRun) -> None:
    run = start_run()
    run.report("run.cancelling")
    run.cancel()
    page = watch(visit, run)
    expect(page.locator("#log li").last).to_have_text(re.compile("Cancelled"))
    expect(page.locator("#log li").nth(-2)).to_have_text(re.compile("Cancelled by a user"))
    expect(page.locator("#badge")).to_have_text("cancelled")


def test_a_notification_says_that_the_run_is_over(visit: Visit, start_run: StartRun) -> None:
    run = start_run()
    run.progress(80)
    page = visit("about:blank", session=True, permissions=["notifications"])
    page.add_init_script(
        "window.shown = [];"
        "window.Notification = class { static permission = 'granted';"
        " constructor(text) { window.shown.push(text); } };"
        "Object.defineProperty(document, 'hidden', {get: () => true});"
    )
    page.goto(f"/studio/runs/{run.id}")
    expect(page.locator("#phases [aria-current]")).to_have_text("Training")
    run.fail("planted")
    expect(page.locator("#badge")).to_have_text("failed")
    assert page.evaluate("window.shown") == ["smoke: failed"]


def test_every_event_that_workers_report_is_known_to_the_page() -> None:
    root = Path(__file__).parents[2]
    script = (root / "app/studio/assets/studio-run.js").read_text()
    known_types = set(re.findall(r'"([a-z]+\.[a-z_]+)"', script))
    (stages,) = re.findall(r"const STAGES = \[(.*?)\]", script)
    suffixes = ("started", "progress", "skipped", "measured")
    known_types |= {f"{name}.{end}" for name in re.findall(r'"(\w+)"', stages) for end in suffixes}
    rooms = "run|dataset|sheet|snapshot|enlarger|matching|distillation"
    pattern = re.compile(rf'(?:event|record|_tell|_emit|_move)\w*\([^"\n]*"((?:{rooms})\.[a-z_]+)"')
    files = [*(root / "worker").rglob("*.py"), root / "models/runs.py"]
    reported_types = {name for path in files for name in pattern.findall(path.read_text())}
    assert len(reported_types) > 8
    assert reported_types <= known_types


def test_compare_without_runs_and_with_different_recipes(visit: Visit, start_run: StartRun) -> None:
    page = visit("/studio/compare", session=True)
    expect(page.locator("main")).to_contain_text("Choose two to four runs")
    expect(page.get_by_role("alert")).to_be_hidden()
    one, other = start_run(images=800), start_run(images=1600)
    for run in (one, other):
        run.report("run.measured", images=80, fd=90.0, samples=100)
    page.goto(f"/studio/compare?run={one.id}&run={other.id}")
    rows = page.locator("#differences tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_have_text(re.compile("images.*800.*1600", re.DOTALL))
    expect(plot(page, "fd").locator("circle")).to_have_count(2)


def test_a_run_starts_again_with_changes(visit: Visit, start_run: StartRun) -> None:
    run = start_run(images=800, batch=4)
    page = watch(visit, run)
    click_to_load(page.get_by_role("link", name="Start again with changes"))
    expect(page.get_by_label("images", exact=True)).to_have_value("800")
    expect(page.locator("[data-name=batch]")).to_have_value("4")
    expect(page.locator("#start-run")).to_have_text("Start · smoke · 800 images · starter")
    page.get_by_role("radio", name=re.compile("modern-64-flat")).check()
    expect(page.get_by_label("images", exact=True)).to_have_value("800")


def test_a_run_without_a_length_does_not_start(visit: Visit) -> None:
    page = visit("/studio/new", session=True)
    page.get_by_label("minutes", exact=True).fill("")
    page.locator("#start-run").click()
    message = "document.querySelector('[data-name=minutes]').validationMessage"
    assert "Say how long" in page.evaluate(message)
    assert page.url.endswith("/studio/new")


def test_promoting_asks_and_names_the_traits_that_stop_working(
    visit: Visit, labelled_model: str
) -> None:
    page = visit(f"/studio/models/{labelled_model}", session=True)
    page.get_by_role("button", name="Promote").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(labelled_model[:12])
    expect(dialog.locator("img")).to_have_count(2)
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()


def test_the_first_run_is_one_click_away(visit: Visit) -> None:
    page = visit("/studio/new?preset=smoke&dataset=starter", session=True)
    expect(page.get_by_role("radio", name=re.compile("smoke"))).to_be_checked()
    expect(page.locator("#start-run")).to_contain_text("Start · smoke")


def test_pages_of_runs_are_accessible_and_reflow_at_320_pixels(
    visit: Visit, start_run: StartRun
) -> None:
    one, other = start_run(images=800), start_run(images=1600)
    one.progress(80)
    page = visit("/studio/new", session=True, width=320, height=700)
    for path in (f"/runs/{one.id}", f"/compare?run={one.id}&run={other.id}", "/new", "/models"):
        page.goto(f"/studio{path}", wait_until="domcontentloaded")
        expect(page.locator("h1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
        violations = Axe().run(page).response["violations"]
        serious = [row["id"] for row in violations if row["impact"] in ("serious", "critical")]
        assert serious == [], path


def test_a_page_shows_no_state_of_the_past(visit: Visit, start_run: StartRun) -> None:
    """The states that a run had come again as events: shown, they moved the whole page."""
    run = start_run()
    run.progress(80)
    run.fail("planted")
    page = visit("about:blank", session=True)
    page.add_init_script(RECORD_STATES)
    page.goto(f"/studio/runs/{run.id}")
    expect(page.locator("#run")).to_have_attribute("data-last", re.compile(r"\d"))
    expect(page.locator("#log")).to_contain_text("planted")
    assert page.evaluate("[window.states, window.phasesShown]") == [["failed"], False]
    expect(page.locator("[data-number=images]")).to_have_text("80")
    expect(page.locator("[data-number=seconds_left]")).to_have_text("–")


def test_a_run_is_renamed_and_found_by_its_name(visit: Visit, start_run: StartRun) -> None:
    run, other = start_run(), start_run()
    name = f"anime {run.id} <2>"
    page = watch(visit, run)
    page.get_by_text("Name and note").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Note", exact=True).fill("More\nof it")
    click_to_load(page.get_by_role("button", name="Save"))
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(f"^{name}"))
    expect(page).to_have_title(re.compile(f"{name} · Kao$"))
    page.goto(f"/studio?q=ANIME {run.id}")
    expect(page.locator(".run")).to_have_count(1)
    expect(page.locator(".run")).to_contain_text("More\nof it")
    page.goto(f"/studio/compare?run={run.id}&run={other.id}")
    expect(page.locator("[data-sheets] h2").first).to_have_text(name)


def test_a_run_gets_its_name_at_its_start(visit: Visit) -> None:
    page = visit("/studio/new?preset=smoke&dataset=starter", session=True)
    page.get_by_label("Name", exact=True).fill("Named at once")
    click_to_load(page.locator("#start-run"))
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Named at once"))


def test_a_page_prompts_for_a_key_and_a_wrong_one_can_be_corrected(visit: Visit) -> None:
    page = visit("/studio")
    page.get_by_role("button", name="Log in").click()
    assert page.evaluate("document.getElementById('key').validity.valueMissing")
    expect(page.get_by_role("alert")).to_be_hidden()
    page.get_by_label("API key").fill(KEY)
    with next_document(page):
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
