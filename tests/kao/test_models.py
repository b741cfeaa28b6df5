"""`kao models …` as typed."""

import json
from pathlib import Path

from models import bundle
from models.registry import Registry
from models.settings import Settings
from tests.kao.conftest import Kao


def test_models_are_listed_and_shown(quick: Kao, registry: Registry, bundles: list[Path]) -> None:
    versions = [bundle.digest(folder) for folder in bundles[:2]]
    code, table, _ = quick("models", "list")
    assert code == 0
    assert all(version[:16] in table for version in versions)
    (row,) = [line for line in table.splitlines() if versions[0][:16] in line]
    assert "default" in row
    code, card, _ = quick("models", "show", versions[1][:12])
    assert code == 0
    assert json.loads(card)["version"] == versions[1]
    assert json.loads(quick("models", "show").out)["version"] == versions[0]


def test_a_promotion_and_its_rollback(quick: Kao, registry: Registry, bundles: list[Path]) -> None:
    old, new = (bundle.digest(folder) for folder in bundles[:2])
    assert quick("models", "promote", new[:12]).out == f"default is now {new}\n"
    assert registry.aliases()["default"] == new
    assert quick("models", "rollback").out == f"default is now {old}\n"
    assert registry.aliases()["default"] == old
    code, _, message = quick("models", "rollback")
    assert (code, "Traceback" in message) == (1, False)


def test_a_model_is_carried_to_another_home(
    quick: Kao, registry: Registry, bundles: list[Path], tmp_path: Path
) -> None:
    version, file = bundle.digest(bundles[1]), tmp_path / "model.zip"
    assert version in quick("models", "export", version[:12], str(file)).out
    other = Settings(home=tmp_path / "other")
    output = quick("models", "import", str(file), KAO_HOME=str(other.home))
    assert output == (0, f"added {version}\n", "")
    assert quick("models", "list", KAO_HOME=str(other.home)).out.count("default") == 1
    assert bundle.digest(other.storage / "bundles" / version) == version


def test_an_unknown_model_is_a_sentence(quick: Kao, registry: Registry) -> None:
    for command in (["show", "nobody"], ["promote", "nobody"], ["export", "nobody", "x.zip"]):
        code, output, message = quick("models", *command)
        assert (code, output) == (1, ""), command
        assert "nobody" in message


def test_a_zip_that_is_none_is_a_sentence(quick: Kao, registry: Registry, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.zip")
    code, _, message = quick("models", "import", missing)
    assert code == 1
    assert missing in message
    (tmp_path / "text.zip").write_text("no zip")
    code, _, message = quick("models", "import", str(tmp_path / "text.zip"))
    assert code == 1
    assert "zip" in message


def test_a_folder_in_place_of_a_zip_is_named(
    quick: Kao, registry: Registry, tmp_path: Path
) -> None:
    code, _, message = quick("models", "import", str(tmp_path))
    assert code == 1
    assert message == f"kao: {tmp_path}: Is a directory.\n"


def test_in_80_columns_a_version_can_still_be_copied(
    quick: Kao, registry: Registry, bundles: list[Path]
) -> None:
    version = bundle.digest(bundles[0])
    table = quick("models", "list", COLUMNS="80").out
    assert max(map(len, table.splitlines())) <= 80
    assert version[:16] in table
    assert "…" not in table
