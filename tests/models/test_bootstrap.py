"""What a fresh KAO_HOME serves, and what an upgrade leaves alone."""

from pathlib import Path

import pytest

from models import bootstrap, bundle
from models.registry import DEFAULT, Registry
from models.settings import Settings


def test_a_fresh_home_serves_the_newest_shipped_model_and_keeps_the_older_ones(
    tmp_path: Path,
) -> None:
    settings = Settings(home=tmp_path)
    registry = Registry(bootstrap.prepare(settings), settings.storage)
    newest = bootstrap.shipped()[0]
    created = [bundle.read_card(folder)["created"] for folder in bootstrap.shipped()]
    assert created == sorted(created, reverse=True)
    assert registry.resolve(DEFAULT) == newest.name
    assert {row["version"] for row in registry.list_models()} == {
        f.name for f in bootstrap.shipped()
    }


def test_an_upgrade_moves_no_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    everything = bootstrap.shipped()
    monkeypatch.setattr(bootstrap, "shipped", lambda: everything[-1:])
    bootstrap.prepare(settings)
    monkeypatch.setattr(bootstrap, "shipped", lambda: everything)
    registry = Registry(bootstrap.prepare(settings), settings.storage)
    assert registry.resolve(DEFAULT) == everything[-1].name
    assert registry.resolve(everything[0].name) == everything[0].name
