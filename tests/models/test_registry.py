"""The registry: aliases move in transactions, a version never changes, and both moves verify."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from models import bundle, registry, runs, webhooks
from models.bundle import verify
from models.database.engine import connect, migrate
from models.errors import BadBundle, LostTraits, StaleFence, UnknownModel
from models.registry import Registry
from models.settings import Settings
from tests.support.fixtures import Begin, WriteBundle


@pytest.fixture(name="models")
def _models(engine: sa.Engine, settings: Settings) -> Registry:
    return Registry(engine, settings.storage)


def publish(models: Registry, write_bundle: WriteBundle, seed: int, **options: Any) -> str:
    target = models.bundles / f"new-{seed}"
    shutil.copytree(write_bundle(seed), target)
    return models.publish(target, **options)


def damage(models: Registry, version: str, file: str = bundle.WEIGHTS) -> None:
    path = models.folder(version) / file
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_publishing_moves_latest_and_promoting_moves_default(
    models: Registry, write_bundle: WriteBundle
) -> None:
    one = publish(models, write_bundle, 1)
    two = publish(models, write_bundle, 2)
    assert models.aliases() == {"latest": two, "default": one}
    models.promote(two)
    assert models.aliases()["default"] == two


def test_roll_back_goes_back_step_by_step(models: Registry, write_bundle: WriteBundle) -> None:
    one, two, three = (publish(models, write_bundle, seed) for seed in (1, 2, 3))
    models.promote(two)
    models.promote(three)
    models.promote(three)
    hook = webhooks.create(models.engine, "https://example.com/", ["alias.moved"])["id"]
    assert models.roll_back() == two
    assert models.roll_back() == one
    deliveries = webhooks.list_deliveries(models.engine, hook)
    versions = {row["body"]["data"]["version"] for row in deliveries}
    assert versions == {one, two}
    with pytest.raises(UnknownModel):
        models.roll_back()


def test_publishing_again_replaces_a_damaged_copy(
    models: Registry, write_bundle: WriteBundle
) -> None:
    source = write_bundle(1)
    for name in ("first", "second"):
        shutil.copytree(source, models.bundles / name)
    version = models.publish(models.bundles / "first")
    damage(models, version)
    assert models.publish(models.bundles / "second", promote=True) == version
    assert bundle.is_whole(models.folder(version), version)


def test_rolling_back_to_a_damaged_model_is_refused_and_changes_nothing(
    models: Registry, write_bundle: WriteBundle, tmp_path: Path
) -> None:
    one, two = (publish(models, write_bundle, seed) for seed in (1, 2))
    models.promote(two)
    copy = shutil.copytree(models.folder(one), tmp_path / "copy")
    damage(models, one)
    with pytest.raises(BadBundle):
        models.roll_back()
    assert models.aliases()["default"] == two
    models.import_folder(copy)
    assert models.roll_back() == one


def test_a_promotion_verifies_once(
    models: Registry, write_bundle: WriteBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(models, write_bundle, 1)
    two = publish(models, write_bundle, 2)
    versions: list[str] = []
    original = verify.verify

    def count(folder: Path, version: str, threads: int = 1) -> Any:
        versions.append(version)
        return original(folder, version, threads)

    monkeypatch.setattr(verify, "verify", count)
    card = models.load(two).card
    models.promote(two, card=card)
    assert versions == [two], "a caller that has just verified it passes its card"
    models.promote("latest")
    assert versions == [two, two]


def test_importing_a_whole_copy_repairs_a_damaged_one(
    models: Registry, write_bundle: WriteBundle, tmp_path: Path
) -> None:
    version = publish(models, write_bundle, 1)
    copy = shutil.copytree(models.folder(version), tmp_path / "copy")
    damage(models, version)
    assert models.import_folder(copy) == version
    verify.verify(models.folder(version), version)


def test_a_damaged_shipped_model_is_repaired_from_the_package(
    models: Registry,
    write_bundle: WriteBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = publish(models, write_bundle, 1)
    shutil.copytree(models.folder(version), tmp_path / "shipped" / version)
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "shipped")
    damage(models, version)
    models.load(version)
    assert bundle.digest(models.folder(version)) == version
    shutil.rmtree(models.folder(version))
    models.load(version)
    assert [path.name for path in models.bundles.iterdir()] == [version], "no rubbish stays"


def test_candidates_for_default_are_its_history_and_then_the_newest(
    models: Registry, write_bundle: WriteBundle
) -> None:
    one, two, three = (publish(models, write_bundle, seed) for seed in (1, 2, 3))
    models.promote(three)
    models.promote(two)
    assert models.default_candidates() == [two, three, one]
    models.roll_back()
    assert models.default_candidates()[:2] == [three, one]


def test_a_model_is_named_by_alias_digest_or_unique_prefix(
    models: Registry, write_bundle: WriteBundle
) -> None:
    version = publish(models, write_bundle, 1)
    for name in ("default", "latest", version, version[:12], version[:40]):
        assert models.resolve(name) == version
    for name in (version[:11], "nope", "", version[:12].upper() + "G", "0" * 64, "%", "_" * 12):
        with pytest.raises(UnknownModel):
            models.resolve(name)


def test_a_stale_worker_moves_no_alias(
    models: Registry, engine: sa.Engine, begin: Begin, write_bundle: WriteBundle
) -> None:
    one = publish(models, write_bundle, 1)
    run, stale = begin("running")
    runs.requeue(engine, run, stale, "lease lost")
    runs.claim(engine, run)
    with pytest.raises(StaleFence):
        publish(models, write_bundle, 2, run=run, fence=stale, final=True, promote=True)
    assert set(models.aliases().values()) == {one}
    assert runs.get(engine, run)["state"] == "running"


def test_publishing_finally_ends_the_run(
    models: Registry, engine: sa.Engine, begin: Begin, write_bundle: WriteBundle
) -> None:
    run, fence = begin("running")
    version = publish(models, write_bundle, 1, run=run, fence=fence, final=True)
    row = runs.get(engine, run)
    assert (row["state"], row["version"]) == ("succeeded", version)


def test_export_and_import_carry_a_model(
    models: Registry, settings: Settings, write_bundle: WriteBundle, tmp_path: Path
) -> None:
    version = publish(models, write_bundle, 1)
    models.export("default", tmp_path / "m.zip")
    target = settings.model_copy(update={"home": tmp_path / "target"})
    engine = connect(target)
    migrate(engine)
    other = Registry(engine, target.storage)
    assert other.import_zip(tmp_path / "m.zip") == version
    verify.verify(other.folder(version), version)
    assert other.aliases() == {"latest": version, "default": version}
    engine.dispose()


@pytest.mark.parametrize("name", ["../evil", "/etc/x", "model.pkl", "a/card.json"])
def test_a_foreign_file_in_an_imported_zip_is_refused(
    models: Registry, write_bundle: WriteBundle, tmp_path: Path, name: str
) -> None:
    publish(models, write_bundle, 1)
    models.export("default", tmp_path / "m.zip")
    with zipfile.ZipFile(tmp_path / "m.zip", "a") as archive:
        archive.writestr(name, b"x")
    before = sorted(models.bundles.iterdir())
    with pytest.raises(BadBundle):
        models.import_zip(tmp_path / "m.zip")
    assert sorted(models.bundles.iterdir()) == before


def test_promoting_a_damaged_model_is_refused(models: Registry, write_bundle: WriteBundle) -> None:
    one = publish(models, write_bundle, 1)
    two = publish(models, write_bundle, 2)
    (models.folder(two) / bundle.CARD).write_text("{}")
    with pytest.raises(BadBundle):
        models.promote(two)
    assert models.aliases()["default"] == one


def test_a_promotion_that_loses_traits_needs_force(
    models: Registry, write_bundle: WriteBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = (publish(models, write_bundle, seed) for seed in (1, 2, 3))
    models.promote(two)
    card = models.get(two)["card"] | {"moments": [1, 2]}
    with models.engine.begin() as db:
        db.execute(
            sa.text("UPDATE models SET card = :card WHERE version = :version"),
            {"card": bundle.Card.model_validate(card).model_dump_json(), "version": two},
        )
    with pytest.raises(LostTraits, match="age"):
        models.promote(three)
    models.promote(three, force=True)
    assert models.aliases()["default"] == three
    assert one in models.default_candidates()
