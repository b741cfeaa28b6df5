"""Every setting is documented, and a child process reads the same ones."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from models.settings import Settings

DOCS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


@pytest.mark.parametrize("field", Settings.model_fields)
def test_every_setting_is_documented(field) -> None:
    alias = Settings.model_fields[field].validation_alias
    assert f"`{alias or f'KAO_{field.upper()}'}`" in DOCS


def test_a_child_reads_the_same_settings_but_not_the_key(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, port=9000, lease_seconds=3, redis_url="redis://x:1/0")
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
    keyed = Settings(home=tmp_path, api_key="k" * 20)
    assert "k" * 20 not in keyed.environment().values()


@pytest.mark.parametrize(
    "wrong",
    [{"port": 0}, {"api_key": "short"}, {"storage_url": "ftp://bucket"}, {"threads": 0}],
    ids=str,
)
def test_a_wrong_setting_is_refused(wrong) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)
