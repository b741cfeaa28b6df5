"""Waiting for another document, and for conditions that Playwright's `expect` does not have."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from playwright.sync_api import Locator, Page

LONGEST = 120  # s; a load of 20 makes a wait of two seconds one of forty


def next_document(page: Page, timeout: float | None = None) -> AbstractContextManager[object]:
    """Wait, at the end of `with`, until another document or the same one anew has loaded.

    Its scripts have run then. Whatever is expected after a click that reloads the page often
    holds on the old page too, whose context is destroyed a moment later.
    timeout: milliseconds; None is the default of the page.
    """
    return page.expect_event("domcontentloaded", timeout=timeout)


def click_to_load(locator: Locator, timeout: float | None = None) -> None:
    """Click what opens another document or reloads this one, and wait until that has loaded."""
    with next_document(locator.page, timeout):
        locator.click()


def until(page: Page, condition: str | Callable[[], object], failure: str = "") -> None:
    """Wait for an expression of JavaScript or a function to be true.

    failure: what it means where it never is. Playwright's own `wait_for_function` evaluates text,
    which the policy of the pages forbids.
    """
    is_true = condition if callable(condition) else lambda: page.evaluate(condition)
    deadline = time.monotonic() + LONGEST
    while not is_true():
        assert time.monotonic() < deadline, failure or condition
        page.wait_for_timeout(50)  # and not time.sleep, which would hold events back
