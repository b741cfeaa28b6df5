"""Aliases move in transactions; a version is for ever."""

import shutil
import zipfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from models import bundle, runs
from models.bundle import verify
from models.errors import BadBundle, StaleFence, UnknownModel
from models.registry import Registry
from models.settings import Settings


@pytest.fixture
def registry(engine: sa.Engine, settings: Settings):
    return Registry(engine, settings.storage)


def publish(registry, write_bundle, seed, **options):
    target = registry.bundles / f"new-{seed}"
    shutil.copytree(write_bundle(seed), target)
    return registry.publish(target, **options)


def test_publishing_moves_latest_and_promoting_moves_default(
    registry: Registry, write_bundle
) -> None:
    one = publish(registry, write_bundle, 1)
    two = publish(registry, write_bundle, 2)
    assert registry.aliases() == {"latest": two, "default": one}
    registry.promote(two)
    assert registry.aliases()["default"] == two


def test_roll_back_goes_back_step_by_step(registry: Registry, write_bundle) -> None:
    one, two, three = (publish(registry, write_bundle, seed) for seed in (1, 2, 3))
    registry.promote(two)
    registry.promote(three)
    registry.promote(three)
    assert registry.roll_back() == two
    assert registry.roll_back() == one
    with pytest.raises(UnknownModel):
        registry.roll_back()


def test_a_model_is_named_by_alias_digest_or_unique_prefix(
    registry: Registry, write_bundle
) -> None:
    version = publish(registry, write_bundle, 1)
    for name in ("default", "latest", version, version[:12], version[:40]):
        assert registry.resolve(name) == version
    for name in (version[:11], "nope", "", version[:12].upper() + "G", "0" * 64, "%", "_" * 12):
        with pytest.raises(UnknownModel):
            registry.resolve(name)


def test_a_stale_worker_moves_no_alias(
    registry: Registry, engine: sa.Engine, begin, write_bundle
) -> None:
    one = publish(registry, write_bundle, 1)
    run, old = begin("running")
    runs.requeue(engine, run, old, "lease lost")
    runs.claim(engine, run)
    with pytest.raises(StaleFence):
        publish(registry, write_bundle, 2, run=run, fence=old, final=True, promote=True)
    assert set(registry.aliases().values()) == {one}
    assert runs.get(engine, run)["state"] == "running"


def test_publishing_finally_ends_the_run(
    registry: Registry, engine: sa.Engine, begin, write_bundle
) -> None:
    run, fence = begin("running")
    version = publish(registry, write_bundle, 1, run=run, fence=fence, final=True)
    row = runs.get(engine, run)
    assert (row["state"], row["version"]) == ("succeeded", version)


def test_export_and_import_carry_a_model(
    registry: Registry, settings: Settings, write_bundle, tmp_path: Path
) -> None:
    from models.database.engine import connect, migrate

    version = publish(registry, write_bundle, 1)
    registry.export("default", tmp_path / "m.zip")
    there = settings.model_copy(update={"home": tmp_path / "there"})
    engine = connect(there)
    migrate(engine)
    other = Registry(engine, there.storage)
    assert other.import_zip(tmp_path / "m.zip") == version
    verify.verify(other.folder(version), version)
    assert other.aliases() == {"latest": version, "default": version}
    engine.dispose()


@pytest.mark.parametrize("name", ["../evil", "/etc/x", "model.pkl", "a/card.json"])
def test_a_foreign_file_in_an_imported_zip_is_refused(
    registry: Registry, write_bundle, tmp_path: Path, name
) -> None:
    publish(registry, write_bundle, 1)
    registry.export("default", tmp_path / "m.zip")
    with zipfile.ZipFile(tmp_path / "m.zip", "a") as archive:
        archive.writestr(name, b"x")
    before = sorted(registry.bundles.iterdir())
    with pytest.raises(BadBundle):
        registry.import_zip(tmp_path / "m.zip")
    assert sorted(registry.bundles.iterdir()) == before


def test_promoting_a_damaged_model_is_refused(registry: Registry, write_bundle) -> None:
    one = publish(registry, write_bundle, 1)
    two = publish(registry, write_bundle, 2)
    (registry.folder(two) / bundle.CARD).write_text("{}")
    with pytest.raises(BadBundle):
        registry.promote(two)
    assert registry.aliases()["default"] == one
