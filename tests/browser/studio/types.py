"""The types of the fixtures in conftest.py."""

from collections.abc import Callable

from playwright.sync_api import Page

# Open a page in a profile of its own; options of the browser's context as keywords.
Enter = Callable[..., Page]
