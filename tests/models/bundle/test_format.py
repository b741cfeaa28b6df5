"""`models.bundle` re-exports every public name of its format."""

import ast
from pathlib import Path

from models import bundle
from models.bundle import format as bundle_format


def test_the_package_exports_all_of_the_format() -> None:
    names = set()
    for node in ast.parse(Path(bundle_format.__file__).read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {
                each.id
                for each in ast.walk(node)
                if isinstance(each, ast.Name) and each.id.isupper()
            }
    public = {name for name in names if not name.startswith("_")}
    assert "Card" in public
    assert "ENLARGER" in public
    assert public <= set(vars(bundle))
