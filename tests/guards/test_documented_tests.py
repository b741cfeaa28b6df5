"""The tests that the documents name as what holds a promise exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("reliability.md", "security.md")
# `test_a_rule`, or `…_a_rule` for a further one that begins as the name before it.
FUNCTION = re.compile(r"(?:test|…)_\w+")
FILE = re.compile(r"(?:\w+/)*test_\w+\.py")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_test_that_a_document_names_exists(document: str) -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    paths = "\n".join(f"{path.relative_to(ROOT).as_posix()}\n{path.name}" for path in files)
    functions = re.findall(r"def (test_\w+)", "\n".join(path.read_text("utf-8") for path in files))
    words = re.findall(r"`([^`\n]+)`", (ROOT / "docs" / document).read_text("utf-8"))
    names = [word for word in words if FUNCTION.fullmatch(word)]
    assert len(names) > 20
    missing_functions = [
        name for name in names if not any(each.endswith(name.lstrip("…")) for each in functions)
    ]
    missing_files = [
        word for word in words if FILE.fullmatch(word) and word not in paths.split("\n")
    ]
    assert missing_functions + missing_files == []
