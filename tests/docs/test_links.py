"""What the documents point at exists: pages, headings, files, targets of make, settings."""

import re
from pathlib import Path

import pytest

from kao.environment import explain_unknown

ROOT = Path(__file__).parents[2]
TOPS = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = [
    *(ROOT / name for name in TOPS),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "clients").glob("*/README.md")),
    ROOT / "benchmarks" / "README.md",
]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
FILE = re.compile(
    r"`((?:app|benchmarks|clients|deploy|docs|kao|models|tests|worker)/[\w./-]+\.\w+)`"
)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_has_a_target(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        if not target.startswith(("http:", "https:")):
            file = page.parent / target if target else page
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


# The pages of hosts name files of those hosts.
@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "hosts"], ids=name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    # "Where to look" has the wrong guesses of a newcomer.
    sections = re.split("^## ", page.read_text(), flags=re.MULTILINE)
    text = "".join(part for part in sections if not part.startswith("Where to look"))
    assert [file for file in FILE.findall(text) if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_target_of_make_and_every_setting_exists(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", text, re.MULTILINE)) <= TARGETS
    assert dict(explain_unknown(re.findall(r"\bKAO_[A-Z]+(?:_[A-Z]+)*\b", text))) == {}


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md" and page.is_file():
            reached.add(page)
            targets = [target for target, _ in LINK.findall(page.read_text()) if target]
            waiting += [
                (page.parent / target).resolve() for target in targets if "://" not in target
            ]
    assert set(PAGES) <= reached


def test_every_benchmark_is_in_their_table() -> None:
    page = (ROOT / "benchmarks" / "README.md").read_text()
    names = set(re.findall(r"`(\w+\.\w+)`", page))
    files = {file.name for file in (ROOT / "benchmarks").iterdir() if file.is_file()}
    assert names == files - {"README.md"}
