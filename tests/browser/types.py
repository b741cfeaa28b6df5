"""The types of the fixtures in conftest.py, and reads of a page that cannot be None."""

from collections.abc import Callable

from playwright.sync_api import Locator, Page

# Open an address in a profile of its own; options of the browser's context as keywords.
Visit = Callable[..., Page]
# Wait until a frame shows a picture whose address has a part; its path and parameters.
PictureOf = Callable[..., dict[str, str]]


def text_of(locator: Locator) -> str:
    """The text of an element that has one."""
    text = locator.text_content()
    assert text is not None
    return text


def attribute_of(locator: Locator, name: str) -> str:
    """The value of an attribute that is there."""
    value = locator.get_attribute(name)
    assert value is not None, name
    return value


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
    raise AssertionError(f"no Tab leads to {selector}")
