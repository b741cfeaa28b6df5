"""The registry: which bundles exist, and the movable names for them.

`latest` moves by publishing, `default` (what `/avatar` serves) by promoting.
"""

import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import select

from models import bundle, runs
from models.bundle import verify
from models.bundle.format import Card
from models.bundle.generator import Drawer
from models.database.engine import lock, now
from models.database.tables import aliases, models, moves
from models.errors import BadBundle, KaoError, LostTraits, UnknownModel
from models.failpoints import fail_point
from models.storage import atomic, layout
from models.storage.blob_store import Blobs

LATEST, DEFAULT = "latest", "default"
SHORTEST_PREFIX = 12
_DIGEST = re.compile(rf"[0-9a-f]{{{SHORTEST_PREFIX},64}}")


class Registry:
    """Bundles under `<store>/bundles/<digest>`, their rows and aliases in the database."""

    def __init__(self, engine: sa.Engine, store: Path | Blobs) -> None:
        self.engine = engine
        self.blobs = store if isinstance(store, Blobs) else Blobs(store)
        self.bundles = self.blobs.folder / layout.BUNDLES

    def folder(self, version: str) -> Path:
        """Where a version's files lie, once they are here."""
        return self.blobs.folder / layout.bundle(version)

    def fetch(self, version: str) -> Path:
        """The same after they came from the bucket, where one is. Raises StorageUnreachable."""
        return self.blobs.fetch_folder(
            self.folder(version), lambda came: bundle.check_digest(came, version)
        )

    def load(self, version: str, threads: int = 1) -> Drawer:
        """A version that may serve. Raises BadBundle, StorageUnreachable."""
        try:
            return verify.verify(self.fetch(version), version, threads)
        except BadBundle:
            if not self._replaced(version):
                raise
            return verify.verify(self.folder(version), version, threads)

    def _replaced(self, version: str) -> bool:
        """Take the bucket's copy for a damaged one here, where it has one."""
        here = self.folder(version)
        if not here.is_dir() or bundle.digest(here) == version:
            return False
        if not self.blobs.names(layout.bundle(version)):
            return False
        with atomic.scratch_folder(self.bundles) as aside:
            damaged = here.rename(aside / "damaged")
            try:
                self.fetch(version)
            except KaoError:
                damaged.rename(here)
                raise
        return True

    def publish(
        self,
        folder: Path,
        *,
        run: str | None = None,
        fence: runs.Fence | None = None,
        final: bool = False,
        promote: bool = False,
        latest: bool = True,
    ) -> str:
        """Settle a finished bundle folder and move `latest`, in one transaction; its version.

        With a fence, a worker that lost its run changes no alias (StaleFence); `final` also
        ends the run as succeeded. The folder must lie under the same store.
        """
        fail_point("publish.written")
        version = bundle.digest(folder)
        self.bundles.mkdir(parents=True, exist_ok=True)
        self._settle(folder, version)
        card = bundle.read_card(self.folder(version))
        with self.engine.begin() as db:
            lock(db, "registry")
            if run is not None and fence is not None:
                runs.guard(db, run, fence)
            fail_point("publish.guarded")
            self._register(db, version, card, run)
            fail_point("publish.registered")
            if latest:
                self._move(db, LATEST, version)
            fail_point("publish.latest")
            if promote or self._alias(db, DEFAULT) is None:
                self._move(db, DEFAULT, version)
            fail_point("publish.default")
            if final and run is not None and fence is not None:
                runs.succeed(db, run, fence, version)
            fail_point("publish.ended")
        fail_point("publish.committed")
        return version

    def resolve(self, name: str) -> str:
        """An alias, a digest, or a unique prefix of 12 or more hex digits. Raises UnknownModel."""
        name = name.replace("\0", "\ufffd")  # PostgreSQL's text cannot have it
        with self.engine.begin() as db:
            version = self._alias(db, name)
            if version is not None:
                return version
            if _DIGEST.fullmatch(name):
                found = db.execute(
                    select(models.c.version).where(models.c.version.startswith(name)).limit(2)
                ).all()
                if len(found) == 1:
                    return str(found[0].version)
                if found:
                    raise UnknownModel(f"More than one model starts with {name}; give more digits.")
        raise UnknownModel(
            f"There is no model {name[:80]!r}. Use an alias (`default`, `latest`), a version, "
            f"or at least {SHORTEST_PREFIX} of its hex digits."
        )

    def aliases(self) -> dict[str, str]:
        """Every alias and its version."""
        with self.engine.begin() as db:
            return {row.name: row.version for row in db.execute(select(aliases))}

    def list_models(self) -> list[dict[str, Any]]:
        """Every published version, the newest first."""
        with self.engine.begin() as db:
            query = select(models).order_by(models.c.published.desc(), models.c.version)
            return [row._asdict() for row in db.execute(query)]

    def get(self, name: str) -> dict[str, Any]:
        """One version's row. Raises UnknownModel."""
        version = self.resolve(name)
        with self.engine.begin() as db:
            query = select(models).where(models.c.version == version)
            return db.execute(query).one()._asdict()

    def promote(self, name: str, force: bool = False) -> str:
        """Serve a version by default, after verifying it.

        Raises UnknownModel, BadBundle; and unless forced LostTraits, where what serves now has
        traits that the version lacks: addresses out there ask for them. What serves only because
        it came with Kao, and was never chosen, holds nobody up.
        """
        version = self.resolve(name)
        card = self.load(version).card
        with self.engine.begin() as db:
            lock(db, "registry")
            served = self._alias(db, DEFAULT)
            if served is not None and not force and self._was_chosen(db):
                query = select(models.c.card).where(models.c.version == served)
                before = Card.model_validate(db.execute(query).scalar_one())
                kept = set(card.offers)
                if lost := [each for each in before.offers if each not in kept]:
                    raise LostTraits(lost)
            if served != version:
                self._move(db, DEFAULT, version)
        return version

    def roll_back(self) -> str:
        """Serve again what `default` named before its last move. Raises UnknownModel."""
        with self.engine.begin() as db:
            lock(db, "registry")
            query = (
                select(moves)
                .where(moves.c.alias == DEFAULT)
                .order_by(moves.c.number.desc())
                .limit(2)
            )
            history = db.execute(query).all()
            if len(history) < 2:
                raise UnknownModel("There is nothing to roll back to: only one model was promoted.")
            last, before = history
            # Taken off the history, so that rolling back twice goes back two steps.
            db.execute(sa.delete(moves).where(moves.c.number == last.number))
            db.execute(
                sa.update(aliases).where(aliases.c.name == DEFAULT).values(version=before.version)
            )
        return str(before.version)

    def export(self, name: str, target: Path) -> str:
        """Write a version as one uncompressed zip, verified; its version."""
        version = self.resolve(name)
        self.load(version)
        with atomic.whole_file(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for path in sorted(self.folder(version).iterdir()):
                archive.write(path, path.name)
        return version

    def import_zip(self, source: Path) -> str:
        """Add a bundle that `export` wrote, verified before it counts. Raises BadBundle."""
        with atomic.scratch_folder(self.bundles) as folder:
            try:
                with zipfile.ZipFile(source) as archive:
                    bundle.unpack(archive, folder)
            except (*atomic.BROKEN_ZIP, *atomic.UNREADABLE_ZIP, OSError) as error:
                raise BadBundle(
                    f"{source.name} is not a bundle that kao exported: {error}"
                ) from None
            return self.add(folder)

    def import_folder(self, source: Path) -> str:
        """Add a copy of a bundle folder, verified before it counts. Raises BadBundle."""
        with atomic.scratch_folder(self.bundles) as folder:
            shutil.copytree(source, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
            return self.add(folder)

    def add(self, folder: Path) -> str:
        """Register a finished folder without moving `latest`; it serves if nothing else does."""
        version = bundle.digest(folder)
        verify.verify(folder, version)
        self._settle(folder, version)
        with self.engine.begin() as db:
            lock(db, "registry")
            self._register(db, version, bundle.read_card(self.folder(version)), None)
            for name in (LATEST, DEFAULT):
                if self._alias(db, name) is None:
                    self._move(db, name, version)
        return version

    def _settle(self, folder: Path, version: str) -> None:
        """Into place here and in the bucket, before the database names it."""
        atomic.settle(folder, self.folder(version))
        self.blobs.put_once(self.folder(version))

    def _register(
        self, db: sa.Connection, version: str, card: dict[str, Any], run: str | None
    ) -> None:
        if db.execute(select(models.c.version).where(models.c.version == version)).first():
            return
        size = sum(path.stat().st_size for path in self.folder(version).iterdir())
        db.execute(
            models.insert().values(version=version, run=run, published=now(), card=card, bytes=size)
        )

    def _alias(self, db: sa.Connection, name: str) -> str | None:
        return db.execute(select(aliases.c.version).where(aliases.c.name == name)).scalar()

    def _was_chosen(self, db: sa.Connection) -> bool:
        """Whether `default` ever moved; its first place is whatever came first."""
        query = select(sa.func.count()).where(moves.c.alias == DEFAULT)
        return int(db.execute(query).scalar_one()) > 1

    def _move(self, db: sa.Connection, name: str, version: str) -> None:
        changed = db.execute(
            sa.update(aliases).where(aliases.c.name == name).values(version=version)
        )
        if not changed.rowcount:
            db.execute(aliases.insert().values(name=name, version=version))
        db.execute(moves.insert().values(alias=name, version=version, at=now()))
