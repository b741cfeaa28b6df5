"""A backup of a house, restored into an empty home and compared with what there was."""

import hashlib
import itertools
import sys
from collections.abc import Mapping, Sequence

from app.avatars import service, traits
from app.avatars.request.picture_request import PictureRequest
from app.avatars.request.picture_types import AVATAR
from models import runs
from models.bundle.generator import Drawer
from models.database.engine import connect
from models.registry import Registry
from models.settings import Settings
from tests.support.process_group import House

FACES = 24  # that are drawn again and compared
SECONDS = 300.0  # for each command


def assert_a_backup_restores_all(
    house: House, rows: Sequence[runs.Row], faces: Mapping[tuple[str | None, int], bytes]
) -> int:
    """Back up while all runs, restore elsewhere, and compare runs, models, aliases and faces.

    faces: by version and seed, the SHA-256 of what clients saw. Returns the number of those that
    were compared.
    """
    archive, home = house.folder / "backup.tar", house.folder / "restored"
    _kao(house, "backup", str(archive))
    _kao(house, "restore", str(archive), KAO_HOME=str(home))
    _kao(house, "verify", KAO_HOME=str(home))
    settings = Settings(home=home)
    engine = connect(settings)
    registry = Registry(engine, settings.blobs)
    try:
        for row in rows:
            restored_run = runs.get(engine, row["id"])
            assert restored_run == row
            registry.load(str(row["version"]))
        assert registry.aliases() == house.registry.aliases()
        assert registry.list_models() == house.registry.list_models()
        return _compare_faces(registry, faces)
    finally:
        engine.dispose()


def _kao(house: House, *words: str, **environment: str) -> None:
    """Run a command to its end; it must succeed."""
    command = [sys.executable, "-m", "kao", *words]
    process = house.start(words[0], command, **environment)
    assert process.wait(SECONDS) == 0, house.log_tails()


def _compare_faces(registry: Registry, faces: Mapping[tuple[str | None, int], bytes]) -> int:
    drawers: dict[str, Drawer] = {}
    comparisons = 0
    for (version, seed), digest in itertools.islice(faces.items(), FACES):
        assert version is not None
        drawer = drawers.get(version) or registry.load(version)
        drawers[version] = drawer
        request = traits.resolve(PictureRequest.parse(AVATAR, {"seed": str(seed)}), drawer.card)
        body = service.render_alone(drawer, version, request)
        assert hashlib.sha256(body).digest() == digest, (version, seed)
        comparisons += 1
    return comparisons
