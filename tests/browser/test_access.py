"""The page of keys and webhooks: each secret is shown once, and buttons do what they say."""

import secrets
from collections.abc import Iterator

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import KEY
from tests.browser.types import Visit, text_of
from tests.browser.waits import click_to_load

pytestmark = pytest.mark.slow  # some seconds each


@pytest.fixture
def unique(http: httpx.Client, site: str) -> Iterator[str]:
    """Letters for a name that no other test has; deletes the webhooks and keys with them."""
    letters = secrets.token_hex(8)
    yield letters
    headers = {"Authorization": f"Bearer {KEY}"}
    for path, label in (("webhooks", "url"), ("keys", "name")):
        for row in http.get(f"{site}/{path}", headers=headers).json()[path]:
            if letters in row[label] and not row.get("revoked"):
                http.delete(f"{site}/{path}/{row['id']}", headers=headers).raise_for_status()


def open_page(visit: Visit, **options: object) -> Page:
    page = visit("/studio/access", session=True, **options)
    page.on("dialog", lambda dialog: dialog.accept())
    return page


def secret_of(page: Page) -> str:
    """The secret that the dialog shows; closing it by its second button reloads the page."""
    expect(page.locator("#made")).to_be_visible()
    secret = text_of(page.locator("#secret"))
    click_to_load(page.locator("#made button:not([data-copy])"))
    return secret


@pytest.mark.parametrize(("language", "width"), [("en-GB", 1280), ("zh-CN", 320)])
def test_a_key_is_made_shown_once_and_revoked(
    visit: Visit, http: httpx.Client, site: str, unique: str, language: str, width: int
) -> None:
    name = f"ci שלום {unique} " + "x" * 39  # 64 characters, the most
    page = open_page(visit, locale=language, width=width)
    page.locator("#key-name").fill(name)
    page.locator("[name=scopes][value=read]").check()
    page.locator("[data-send='POST /keys'] [type=submit]").click()
    secret = secret_of(page)
    card = page.locator("[data-key]", has_text=name)
    expect(card).to_contain_text("read")
    assert secret not in page.content()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    header = {"Authorization": f"Bearer {secret}"}
    assert http.get(f"{site}/train", headers=header).status_code == 200
    assert http.get(f"{site}/keys", headers=header).status_code == 403
    click_to_load(card.locator("[data-do]"))
    expect(card).to_have_count(0)
    assert http.get(f"{site}/train", headers=header).status_code == 401


def test_a_webhook_is_added_tested_replayed_and_deleted(visit: Visit, unique: str) -> None:
    page = open_page(visit, width=320)
    page.locator("#url").fill(f"https://example.com/{unique}/{'a' * 90}")
    page.locator("[name=types][value='run.queued']").uncheck()
    page.locator("[data-send='POST /webhooks'] [type=submit]").click()
    assert secret_of(page).startswith("whsec_")
    hook = page.locator("[data-hook]", has_text=unique)
    expect(hook).to_contain_text("run.started")
    expect(hook).not_to_contain_text("run.queued")
    click_to_load(hook.get_by_role("button", name="Send a test"))
    expect(hook.locator("[data-delivery]")).to_contain_text("webhook.test")
    click_to_load(hook.get_by_role("button", name="Send again"))
    expect(hook.locator("[data-delivery]")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    click_to_load(hook.get_by_role("button", name="Delete"))
    expect(hook).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_of_keys_is_accessible(visit: Visit, theme: str) -> None:
    page = open_page(visit, color_scheme=theme)
    expect(page.locator("[data-key]").first).to_be_visible()
    found = Axe().run(page).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
