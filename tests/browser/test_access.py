"""The page of keys and webhooks: each secret is shown once, and buttons do what they say."""

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.types import Visit, text_of

pytestmark = pytest.mark.slow  # some seconds each

LONG = "ci שלום " + "x" * 50


def open_page(visit: Visit, **options: object) -> Page:
    page = visit("/studio/access", session=True, **options)
    page.on("dialog", lambda dialog: dialog.accept())
    return page


def secret_of(page: Page) -> str:
    """The secret that the dialog shows, which is closed by its second button."""
    expect(page.locator("#made")).to_be_visible()
    secret = text_of(page.locator("#secret"))
    page.locator("#made button:not([data-copy])").click()
    return secret


@pytest.mark.parametrize(("language", "width"), [("en-GB", 1280), ("zh-CN", 320)])
def test_a_key_is_made_shown_once_and_revoked(
    visit: Visit, http: httpx.Client, site: str, language: str, width: int
) -> None:
    page = open_page(visit, locale=language, width=width)
    page.locator("#key-name").fill(LONG)
    page.locator("[name=scopes][value=read]").check()
    page.locator("[data-send='POST /keys'] [type=submit]").click()
    secret = secret_of(page)
    card = page.locator("[data-key]", has_text=LONG)
    expect(card).to_contain_text("read")
    assert secret not in page.content()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    header = {"Authorization": f"Bearer {secret}"}
    assert http.get(f"{site}/train", headers=header).status_code == 200
    assert http.get(f"{site}/keys", headers=header).status_code == 403
    card.locator("[data-do]").click()
    expect(card).to_have_count(0)
    assert http.get(f"{site}/train", headers=header).status_code == 401


def test_a_webhook_is_added_tested_replayed_and_deleted(visit: Visit) -> None:
    page = open_page(visit, width=320)
    address = f"https://example.com/{'a' * 90}"
    page.locator("#url").fill(address)
    page.locator("[name=types][value='run.queued']").uncheck()
    page.locator("[data-send='POST /webhooks'] [type=submit]").click()
    assert secret_of(page).startswith("whsec_")
    hook = page.locator("[data-hook]")
    expect(hook).to_contain_text("run.started")
    expect(hook).not_to_contain_text("run.queued")
    hook.get_by_role("button", name="Send a test").click()
    expect(hook.locator("[data-delivery='1']")).to_contain_text("webhook.test")
    hook.get_by_role("button", name="Send again").click()
    expect(hook.locator("[data-delivery]")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    hook.get_by_role("button", name="Delete").click()
    expect(hook).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_of_keys_is_accessible(visit: Visit, theme: str) -> None:
    page = open_page(visit, color_scheme=theme)
    expect(page.locator("[data-key]").first).to_be_visible()
    found = Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
