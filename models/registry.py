"""The registry: published bundles, and the aliases that name them.

`latest` moves by publishing, `default` (what `/avatar` serves) by promoting.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from sqlalchemy import select

from models import bundle, runs, webhooks
from models.bundle import Card, archive, foreign_card, is_whole, isolated
from models.bundle.verified_files import VerifiedFiles
from models.database import tables
from models.database.engine import lock, now, reading
from models.database.tables import aliases, models, moves
from models.errors import BadBundle, KaoError, LostTraits, UnknownModel
from models.failpoints import fail_point
from models.name_and_note import Description
from models.storage import atomic, layout
from models.storage.blob_store import Blobs

if TYPE_CHECKING:  # ONNX Runtime takes a second to import, and most commands need none of it
    from models.bundle.generator import Drawer

log = structlog.get_logger()

LATEST, DEFAULT = "latest", "default"
# The bundles that come with Kao, each in a folder named by its version.
SHIPPED = Path(__file__).parent / "shipped"
SHORTEST_PREFIX = 12
_DIGEST = re.compile(rf"[0-9a-f]{{{SHORTEST_PREFIX},64}}")


class Registry:
    """Bundles below the store, their rows and aliases in the database."""

    def __init__(self, engine: sa.Engine, store: Path | Blobs) -> None:
        self.engine = engine
        self.blobs = store if isinstance(store, Blobs) else Blobs(store)
        self.bundles = self.blobs.folder / layout.BUNDLES
        self.files = VerifiedFiles(self.fetch, self._replace_damaged)

    # Reading. None of these waits for a writer.

    def folder(self, version: str) -> Path:
        """Return the folder of a version's files, which `fetch` may have to fill."""
        return self.blobs.folder / layout.bundle(version)

    def resolve(self, name: str) -> str:
        """Return the version of an alias, a digest, or a unique prefix of 12 or more hex digits.

        Raises UnknownModel.
        """
        name = name.replace("\0", "\ufffd")  # PostgreSQL's text cannot have it
        with reading(self.engine).begin() as db:
            version = self._alias(db, name)
            if version is not None:
                return version
            if _DIGEST.fullmatch(name):
                query = select(models.c.version).where(models.c.version.startswith(name)).limit(2)
                versions = list(db.scalars(query))
                if len(versions) == 1:
                    return str(versions[0])
                if versions:
                    raise UnknownModel(f"More than one model starts with {name}; give more digits.")
        raise UnknownModel(
            f"There is no model {name[:80]!r}. Use an alias (`default`, `latest`), a version, "
            f"or at least {SHORTEST_PREFIX} of its hex digits."
        )

    def aliases(self) -> dict[str, str]:
        """Return every alias and its version."""
        with reading(self.engine).begin() as db:
            return {row.name: row.version for row in db.execute(select(aliases))}

    def list_models(self, with_cards: bool = False) -> list[dict[str, Any]]:
        """Return the row of every published version, the newest first.

        with_cards: with `card`, which takes ten times as long: it is kilobytes of JSON.
        """
        columns = [each for each in models.c if with_cards or each is not models.c.card]
        with reading(self.engine).begin() as db:
            query = select(*columns).order_by(models.c.published.desc(), models.c.version)
            return [row._asdict() for row in db.execute(query)]

    def get(self, name: str) -> dict[str, Any]:
        """Return one version's row. Raises UnknownModel."""
        version = self.resolve(name)
        with reading(self.engine).begin() as db:
            query = select(models).where(models.c.version == version)
            return db.execute(query).one()._asdict()

    def previous_default(self) -> str | None:
        """Return the version to which `roll_back` would go; None: there is none."""
        with reading(self.engine).begin() as db:
            try:
                return str(self._previous_default(db).version)
            except UnknownModel:
                return None

    def describe(self, name: str, description: Description) -> dict[str, Any]:
        """Change a version's name or note; its row. Raises UnknownModel."""
        version = self.resolve(name)
        if values := description.values():
            with self.engine.begin() as db:
                db.execute(sa.update(models).where(models.c.version == version).values(values))
        return self.get(version)

    def default_candidates(self) -> list[str]:
        """Return every version in the order in which they may stand in for `default`.

        First what `default` names and named before, the latest first; then the other models, the
        newest first. A server takes the first that verifies.
        """
        with reading(self.engine).begin() as db:
            query = select(moves.c.version).where(moves.c.alias == DEFAULT)
            earlier = list(db.scalars(query.order_by(moves.c.number.desc())))
            current = self._alias(db, DEFAULT)
        versions = [row["version"] for row in self.list_models()]
        first = [] if current is None else [current]
        return list(dict.fromkeys([*first, *earlier, *versions]))

    # Files.

    def fetch(self, version: str) -> Path:
        """Return a version's folder, after copying it from the bucket where it is missing here.

        Raises StorageUnreachable.
        """
        return self.blobs.fetch_folder(
            self.folder(version), lambda folder: bundle.check_digest(folder, version)
        )

    def load(self, version: str, threads: int = 1) -> "Drawer":
        """Verify and load a version. A damaged copy is replaced from the package or the bucket.

        Raises BadBundle, StorageUnreachable.
        """
        from models.bundle.verify import verify

        try:
            return verify(self.fetch(version), version, threads)
        except BadBundle:
            if not self._replace_damaged(version):
                raise
            return verify(self.folder(version), version, threads)

    def _replace_damaged(self, version: str) -> bool:
        """Replace a damaged or missing copy from the package or the bucket; whether it could."""
        folder, package_copy = self.folder(version), SHIPPED / version
        if is_whole(folder, version):
            return False  # its files are those that were published: it is bad in another way
        if not package_copy.is_dir() and not self.blobs.names(layout.bundle(version)):
            return False
        with atomic.scratch_folder(self.bundles) as scratch:
            damaged_copy = scratch / "damaged"
            if folder.exists():
                folder.rename(damaged_copy)
            try:
                if package_copy.is_dir():
                    copy = atomic.copy_files(package_copy, scratch / "copy")
                    bundle.check_digest(copy, version)
                    atomic.settle(copy, folder)
                else:
                    self.fetch(version)
            except (KaoError, OSError):
                if damaged_copy.exists() and not folder.exists():
                    damaged_copy.rename(folder)
                raise
        log.warning("bundle.repaired", version=version[:12])
        return True

    # Publishing.

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
        """Move a finished bundle into place and move `latest`, in one transaction; its version.

        With a fence, a worker that lost its run changes no alias (StaleFence); `final` also
        ends the run as succeeded. The folder must lie under the same store.
        """
        fail_point("publish.written")
        version = bundle.digest(folder)
        self.bundles.mkdir(parents=True, exist_ok=True)
        self._settle(folder, version)
        files = self._read_files(version)
        with self.engine.begin() as db:
            lock(db, "registry")
            if run is not None and fence is not None:
                runs.guard(db, run, fence)
            fail_point("publish.guarded")
            self._register(db, version, files, run)
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

    def export(self, name: str, target: Path) -> str:
        """Verify a version and write it as one uncompressed zip; the version."""
        version = self.resolve(name)
        self.load(version)
        with atomic.whole_file(target) as temporary, temporary.open("wb") as file:
            file.writelines(archive.stream(self.folder(version)))
        return version

    def import_zip(self, source: Path, largest: int = archive.LARGEST) -> str:
        """Verify and register a bundle that `export` wrote; its version. Raises BadBundle.

        largest: bytes of its files together.
        """
        with atomic.scratch_folder(self.bundles) as folder:
            archive.unpack(source, folder, largest)
            return self.add_foreign(folder)

    def add_foreign(self, folder: Path) -> str:
        """Verify and register a finished folder from elsewhere; its version. Raises BadBundle.

        A child process with limits draws first, because the files are not trusted.
        """
        isolated.verify(folder, bundle.digest(folder))
        foreign_card.check(folder)
        return self.add(folder)

    def import_folder(self, source: Path, published: str | None = None) -> str:
        """Verify and register a copy of a bundle's folder; its version. Raises BadBundle."""
        with atomic.scratch_folder(self.bundles) as folder:
            return self.add(atomic.copy_files(source, folder), published)

    def add(self, folder: Path, published: str | None = None) -> str:
        """Verify and register a finished folder; its version. Raises BadBundle.

        A damaged copy of the same version is replaced.
        """
        from models.bundle.verify import verify

        version = bundle.digest(folder)
        verify(folder, version)
        self._settle(folder, version)
        self.adopt(version, published)
        return version

    def adopt(self, version: str, published: str | None = None) -> bool:
        """Register a version whose files are in place; whether it was unknown. Raises BadBundle.

        Aliases that have no version yet get this one. published: ISO 8601; now, where it is None.
        """
        files = self._read_files(version)
        with self.engine.begin() as db:
            lock(db, "registry")
            is_new = self._register(db, version, {**files, "published": published or now()}, None)
            for name in (LATEST, DEFAULT):
                if self._alias(db, name) is None:
                    self._move(db, name, version)
        return is_new

    # Moving `default`. Both moves verify first.

    def promote(self, name: str, force: bool = False, card: Card | None = None) -> str:
        """Verify a version and make it the default; the version.

        card: of the version, where the caller has just verified it. Raises UnknownModel,
        BadBundle, and LostTraits unless forced: where the current default has traits that the
        version lacks, URLs may use them. A default that was never promoted, such as the shipped
        model of a new home, does not prevent a promotion.
        """
        version = self.resolve(name)
        card = card or self.load(version).card
        with self.engine.begin() as db:
            lock(db, "registry")
            current = self._alias(db, DEFAULT)
            if current is not None and not force and self._was_promoted(db):
                query = select(models.c.card).where(models.c.version == current)
                before = Card.model_validate(db.execute(query).scalar_one())
                if lost_traits := before.offers_missing_in(card):
                    raise LostTraits(lost_traits)
            if current != version:
                self._move(db, DEFAULT, version)
        return version

    def roll_back(self) -> str:
        """Verify the previous default and make it the default again; the version.

        A second call goes back another step. Raises UnknownModel, BadBundle.
        """
        while True:
            with reading(self.engine).begin() as db:
                target = self._previous_default(db)
            self.load(target.version)
            with self.engine.begin() as db:
                lock(db, "registry")
                if self._previous_default(db).number != target.number:
                    continue  # another promotion came in between
                db.execute(
                    sa.delete(moves).where(moves.c.alias == DEFAULT, moves.c.number > target.number)
                )
                self._point(db, DEFAULT, target.version)
            return str(target.version)

    def _previous_default(self, db: sa.Connection) -> sa.Row[Any]:
        query = select(moves).where(moves.c.alias == DEFAULT).order_by(moves.c.number.desc())
        history = db.execute(query.limit(2)).all()
        if len(history) < 2:
            raise UnknownModel("There is nothing to roll back to: only one model was promoted.")
        return history[1]

    def _was_promoted(self, db: sa.Connection) -> bool:
        """Whether `default` ever moved after its first version, which no promotion chose."""
        query = select(sa.func.count()).where(moves.c.alias == DEFAULT)
        return int(db.execute(query).scalar_one()) > 1

    # Steps.

    def _settle(self, folder: Path, version: str) -> None:
        """Move a folder into place here and in the bucket, before the database names it.

        A damaged copy of the same version is replaced.
        """
        target = self.folder(version)
        with atomic.scratch_folder(self.bundles) as scratch:
            if target.exists() and not is_whole(target, version):
                target.rename(scratch / "damaged")
            atomic.settle(folder, target)
        self.blobs.put_once(target)

    def _read_files(self, version: str) -> dict[str, Any]:
        """What the database keeps of a version's files: card and size. Raises BadBundle.

        Read before the transaction, in which every other writer would wait for the disk.
        """
        folder = self.folder(version)
        size = sum(path.stat().st_size for path in folder.iterdir())
        return {"card": bundle.read_card(folder), "bytes": size}

    def _register(
        self, db: sa.Connection, version: str, files: dict[str, Any], run: str | None
    ) -> bool:
        if db.execute(select(models.c.version).where(models.c.version == version)).first():
            return False
        name = db.execute(select(tables.runs.c.name).where(tables.runs.c.id == run)).scalar()
        values = {"version": version, "run": run, "published": now(), **files}
        db.execute(models.insert().values(**values, name=name))
        return True

    def _alias(self, db: sa.Connection, name: str) -> str | None:
        return db.execute(select(aliases.c.version).where(aliases.c.name == name)).scalar()

    def _move(self, db: sa.Connection, name: str, version: str) -> None:
        self._point(db, name, version)
        db.execute(moves.insert().values(alias=name, version=version, at=now()))

    def _point(self, db: sa.Connection, name: str, version: str) -> None:
        """Let an alias name a version, and tell the webhooks; the history stays as it is."""
        result = db.execute(
            sa.update(aliases).where(aliases.c.name == name).values(version=version)
        )
        if not result.rowcount:
            db.execute(aliases.insert().values(name=name, version=version))
        webhooks.enqueue(db, "alias.moved", {"alias": name, "version": version})
