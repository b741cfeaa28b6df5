"""What a fresh KAO_HOME serves, and what an upgrade leaves alone."""

from models import bundle, home
from models.registry import DEFAULT, Registry
from models.settings import Settings


def test_a_fresh_home_serves_the_newest_shipped_model_and_keeps_the_older_ones(tmp_path):
    settings = Settings(home=tmp_path)
    registry = Registry(home.prepare(settings), settings.storage)
    newest = home.shipped()[0]
    created = [bundle.read_card(folder)["created"] for folder in home.shipped()]
    assert created == sorted(created, reverse=True)
    assert registry.resolve(DEFAULT) == newest.name
    assert {row["version"] for row in registry.listed()} == {f.name for f in home.shipped()}


def test_an_upgrade_moves_no_face(tmp_path, monkeypatch):
    settings = Settings(home=tmp_path)
    everything = home.shipped()
    monkeypatch.setattr(home, "shipped", lambda: everything[-1:])
    home.prepare(settings)
    monkeypatch.setattr(home, "shipped", lambda: everything)
    registry = Registry(home.prepare(settings), settings.storage)
    assert registry.resolve(DEFAULT) == everything[-1].name
    assert registry.resolve(everything[0].name) == everything[0].name
