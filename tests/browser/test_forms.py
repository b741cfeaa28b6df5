"""What people type and tick survives a slow script, an ended session, Back and a run that ends."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import KEY, Reporter
from tests.browser.types import Visit, text_of
from tests.browser.waits import click_to_load, next_document

pytestmark = pytest.mark.slow  # a second each, and some of them ten

StartRun = Callable[..., Reporter]


def test_a_form_that_waits_for_its_script_does_not_put_a_key_into_an_address(visit: Visit) -> None:
    page = visit("/studio", java_script_enabled=False)
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.locator("#key").fill("kao_secret")
    page.locator("#key").press("Enter")
    page.goto("/team")
    assert any(address.endswith("/team") for address in addresses)
    assert not [address for address in addresses if "kao_secret" in address]


def test_without_scripts_no_control_is_dead(visit: Visit) -> None:
    page = visit("/", java_script_enabled=False)
    expect(page.locator("#face img")).to_be_visible()
    for control in ("#dice", "#psi", "#open", "[data-copy=embed]", "#theme"):
        expect(page.locator(control)).to_be_hidden()


@pytest.fixture
def page_that_may_fail(browser: Browser, site: str) -> Iterator[Page]:
    """A page with a session; its console may have errors, such as that of a refused request."""
    context = browser.new_context(base_url=site)
    answer = context.request.post("/session", data={"key": KEY}, headers={"Origin": site})
    assert answer.ok
    yield context.new_page()
    context.close()


def test_a_session_that_ends_leaves_what_was_typed(page_that_may_fail: Page) -> None:
    page = page_that_may_fail
    page.goto("/studio/access")
    page.locator("#key-name").fill("a long name")
    page.locator("[name=scopes][value=read]").check()
    page.context.clear_cookies()
    page.get_by_role("button", name="Make a key").click()
    expect(page.locator("#problem")).to_contain_text("Your session has ended")
    expect(page.locator("#key-name")).to_have_value("a long name")
    with page.context.expect_page() as opened:
        page.locator("#problem a").click()
    login = opened.value
    login.locator("#key").fill(KEY)
    with next_document(login):
        login.locator("#key").press("Enter")
    expect(login.locator("#logout")).to_be_visible()
    page.get_by_role("button", name="Make a key").click()
    expect(page.locator("#made")).to_be_visible()


def test_a_session_that_ends_where_nothing_was_typed_shows_the_login(
    page_that_may_fail: Page,
) -> None:
    page = page_that_may_fail
    page.goto("/studio/access")
    page.context.clear_cookies()
    page.on("dialog", lambda dialog: dialog.accept())
    click_to_load(page.get_by_role("button", name="Revoke").first)
    expect(page.locator("#key")).to_be_visible()


def test_a_key_without_a_scope_is_refused_in_a_sentence(visit: Visit) -> None:
    page = visit("/studio/access", session=True)
    page.locator("#key-name").fill("none")
    page.get_by_role("button", name="Make a key").click()
    expect(page.locator("#problem")).to_have_text("Tick at least one box.")


def test_ticks_stay_while_a_run_ends(visit: Visit, start_run: StartRun) -> None:
    ending, other = start_run(), start_run()
    other.fail("planted")
    page = visit("/studio", session=True)
    tick = page.locator(f"[name=run][value='{other.id}']")
    tick.check()
    ending.fail("planted")
    item = page.locator(f"[data-run='{ending.id}']")
    expect(item.locator(".badge")).to_have_text("failed")
    expect(item.locator("progress")).to_be_hidden()
    expect(tick).to_be_checked()
    tick.uncheck()


def test_runs_that_back_shows_ticked_can_be_compared(visit: Visit, start_run: StartRun) -> None:
    for _ in range(2):
        start_run().fail("planted")
    page = visit("/studio", session=True)
    for number in range(2):
        page.locator("[name=run]").nth(number).check()
    click_to_load(page.locator("#compare-go"))
    with next_document(page):
        page.go_back()
    expect(page.locator("[name=run]:checked")).to_have_count(2)
    expect(page.locator("#compare-go")).to_be_enabled()


def test_back_to_the_form_of_a_run_shows_the_values_of_its_preset(visit: Visit) -> None:
    page = visit("/studio/new", session=True)
    start = page.locator("#start-run")
    expect(start).to_have_text("Start · modern-64-flat · 60 minutes · starter")
    page.locator("[name=preset][value=smoke]").check()
    expect(start).to_contain_text("smoke")
    page.goto("/studio/models")
    with next_document(page):
        page.go_back()
    preset = page.locator("[name=preset]:checked")
    expect(start).to_contain_text(str(preset.get_attribute("value")))
    assert text_of(page.locator("#changes")) == ""


def test_the_dialog_of_a_promotion_begins_at_cancel(visit: Visit, labelled_model: str) -> None:
    page = visit(f"/studio/models/{labelled_model}", session=True)
    page.locator("#promote").click()
    expect(page.locator("#confirm-cancel")).to_be_focused()
    page.locator("#confirm-cancel").click()
    expect(page.locator("#confirm")).to_be_hidden()
    expect(page.locator("#promote")).to_be_focused()


def test_a_dataset_that_another_tab_deleted_is_named_and_has_no_labels(
    page_that_may_fail: Page,
) -> None:
    page = page_that_may_fail
    page.route("**/datasets/starter", lambda route: route.abort())
    page.goto("/studio/new")
    expect(page.locator("#problem")).to_have_text("The server does not answer.")
    expect(page.locator("#ticks")).to_have_text("none")


def test_code_in_a_message_is_code(page_that_may_fail: Page) -> None:
    page = page_that_may_fail
    page.context.clear_cookies()
    page.goto("/studio")
    page.locator("#key").fill("kao_unknown")
    page.locator("#key").press("Enter")
    expect(page.locator("#problem code")).to_have_text("kao keys create NAME")
    expect(page.locator("#problem")).not_to_contain_text("`")
