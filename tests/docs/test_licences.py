"""Every package that the images install has a licence that we may distribute it under."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
spec = importlib.util.spec_from_file_location("licences", DOCS / "licences.py")
assert spec is not None
assert spec.loader is not None
licences = importlib.util.module_from_spec(spec)
spec.loader.exec_module(licences)

ROWS = [line.split(" | ") for line in licences.PAGE.read_text().splitlines() if " | " in line][1:]


def test_the_page_is_what_is_installed() -> None:
    assert licences.PAGE.read_text() == licences.page(), "run `make licences`"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("| "))
def test_a_licence_is_compatible(row: list[str]) -> None:
    assert licences.compatible(row[2].rstrip(" |"))


@pytest.mark.parametrize(
    ("expression", "compatible"),
    [
        ("MIT", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only", False),
        ("LicenseRef-Proprietary", False),
    ],
)
def test_a_licence_that_is_not_is_noticed(expression: str, compatible: bool) -> None:
    assert licences.compatible(expression) is compatible
