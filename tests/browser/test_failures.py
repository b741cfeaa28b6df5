"""What pages say when the server is away or refuses: a sentence in its language, no defect."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Route, expect

pytestmark = pytest.mark.slow  # a second each


def away(route: Route) -> None:
    route.abort()


def proxy_error(route: Route) -> None:
    route.fulfill(status=502, content_type="text/html", body="<h1>Bad Gateway</h1>")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        pytest.param(away, "服务器没有响应。", id="no answer"),
        pytest.param(proxy_error, "服务器返回 502。", id="a proxy's page"),
    ],
)
def test_a_team_page_says_what_failed(
    browser: Browser, site: str, answer: Callable[[Route], None], sentence: str
) -> None:
    page = browser.new_page(locale="zh-CN")
    page.route("**/avatars", answer)
    page.goto(f"{site}/team?names=Ada", wait_until="domcontentloaded")
    expect(page.locator("#problem")).to_have_text(sentence)
    page.close()


def test_a_model_whose_card_does_not_come_is_no_defect(browser: Browser, site: str) -> None:
    page = browser.new_page(locale="zh-CN")
    page.route("**/models/*", proxy_error)
    page.goto(site, wait_until="domcontentloaded")
    expect(page.locator("#problem")).to_have_text("没有成功：服务器返回 502。")
    expect(page.locator("#face img")).to_be_attached()
    page.close()


def test_the_servers_reason_is_in_the_language_of_the_page(browser: Browser, site: str) -> None:
    page = browser.new_page(locale="zh-CN")
    page.goto(site, wait_until="domcontentloaded")
    expect(page.locator("#wall img.here").first).to_be_attached()
    page.locator("#seed").evaluate("one => one.removeAttribute('maxlength')")
    page.locator("#seed").fill("x" * 4097)
    expect(page.locator("#problem")).to_contain_text("种子有 4097 字节")
    page.close()


def test_an_error_page_whose_face_does_not_come_speaks_of_none(browser: Browser, site: str) -> None:
    page = browser.new_page()
    page.goto(f"{site}/nonsense")
    sentence = page.get_by_text("Every text has a face")
    expect(page.locator(".error-page img")).to_be_visible()
    expect(sentence).to_be_visible()
    page.route(re.compile("/avatar"), proxy_error)
    page.goto(f"{site}/another")
    expect(page.locator(".error-page img")).to_have_count(0)
    expect(sentence).to_be_hidden()
    page.close()
