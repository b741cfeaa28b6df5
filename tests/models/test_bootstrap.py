"""The models of a new home, of an upgraded one, and of one that lost its database."""

from pathlib import Path

import pytest

from models import bootstrap, bundle
from models.errors import LostDatabase
from models.maintenance import garbage
from models.registry import DEFAULT, LATEST, Registry
from models.settings import Settings
from models.storage import layout
from tests.support.fixtures import WriteBundle


def test_a_fresh_home_serves_the_newest_shipped_model_and_keeps_the_older_ones(
    tmp_path: Path,
) -> None:
    settings = Settings(home=tmp_path)
    registry = Registry(bootstrap.prepare(settings), settings.storage)
    newest = bootstrap.shipped_bundles()[0]
    creation_times = [bundle.read_card(folder)["created"] for folder in bootstrap.shipped_bundles()]
    assert creation_times == sorted(creation_times, reverse=True)
    assert registry.resolve(DEFAULT) == newest.name
    assert [row["version"] for row in registry.list_models()] == [
        folder.name for folder in bootstrap.shipped_bundles()
    ]


def test_an_upgrade_moves_no_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path)
    folders = bootstrap.shipped_bundles()
    monkeypatch.setattr(bootstrap, "shipped_bundles", lambda: folders[-1:])
    bootstrap.prepare(settings)
    monkeypatch.setattr(bootstrap, "shipped_bundles", lambda: folders)
    registry = Registry(bootstrap.prepare(settings), settings.storage)
    assert registry.resolve(DEFAULT) == folders[-1].name
    assert registry.resolve(folders[0].name) == folders[0].name


@pytest.fixture
def published_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_bundle: WriteBundle
) -> tuple[Settings, list[str]]:
    """A home with two published models, the newer one last, that shipped none."""
    monkeypatch.setattr(bootstrap, "shipped_bundles", list)
    settings = Settings(home=tmp_path / "home")
    engine = bootstrap.prepare(settings)
    registry = Registry(engine, settings.storage)
    versions = [registry.import_folder(write_bundle(seed)) for seed in (1, 2)]
    registry.promote(versions[1])
    engine.dispose()
    creation_times = {v: bundle.read_card(registry.folder(v))["created"] for v in versions}
    return settings, sorted(versions, key=lambda version: creation_times[version])


def _lose_database(settings: Settings, empty: bool) -> None:
    for path in settings.home.glob("kao.db*"):
        path.unlink()
    if empty:
        (settings.home / "kao.db").touch()


@pytest.mark.parametrize("empty", [True, False], ids=["zero-bytes", "missing"])
def test_a_lost_database_is_never_taken_for_a_new_home(
    published_home: tuple[Settings, list[str]], empty: bool
) -> None:
    settings, versions = published_home
    _lose_database(settings, empty)
    for _ in range(2):  # a refused start leaves nothing that the next one takes for a database
        with pytest.raises(LostDatabase, match=r"2 published models.*kao models adopt"):
            bootstrap.prepare(settings)
    folder = settings.storage / layout.BUNDLES
    assert {path.name for path in folder.iterdir()} == set(versions)


def test_adopting_registers_every_whole_model_and_the_newest_serves(
    published_home: tuple[Settings, list[str]],
) -> None:
    settings, (older, newer) = published_home
    _lose_database(settings, empty=True)
    assert set(bootstrap.adopt(settings)) == {older, newer}
    assert bootstrap.adopt(settings) == []
    engine = bootstrap.prepare(settings)
    assert Registry(engine, settings.storage).aliases() == {DEFAULT: newer, LATEST: newer}
    assert garbage.find(settings, engine, minimum_age=0) == []
    engine.dispose()


def test_adopting_leaves_a_damaged_model_out(published_home: tuple[Settings, list[str]]) -> None:
    settings, (older, newer) = published_home
    _lose_database(settings, empty=True)
    (settings.storage / layout.bundle(newer) / bundle.WEIGHTS).write_bytes(b"damaged")
    assert bootstrap.adopt(settings) == [older]
