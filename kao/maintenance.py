"""The commands that look after what is kept: `kao gc`, `kao backup`, `kao restore`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from models.settings import Settings

out = Console()


def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; else only tell.")] = False,
) -> None:
    """Find files that no run, model or dataset needs, and remove them with --yes."""
    from models.database.engine import connect, migrate
    from models.maintenance import bucket_garbage, garbage

    settings = Settings()
    engine = connect(settings)
    migrate(engine)
    found: list[garbage.Garbage | bucket_garbage.BucketGarbage] = []
    found += (garbage.collect if yes else garbage.find)(settings, engine)
    found += (bucket_garbage.collect if yes else bucket_garbage.find)(settings, engine)
    engine.dispose()
    table = Table("what", "why", "size")
    for one in found:
        table.add_row(one.place, one.reason, f"{one.bytes / 1e6:.1f} MB")
    if found:
        out.print(table)
    total = f"{len(found)} of them, {sum(one.bytes for one in found) / 1e6:.1f} MB"
    out.print(f"removed {total}" if yes else f"nothing needs {total}; --yes removes them")


def backup(file: Path) -> None:
    """Write database and blobs into one archive, while everything runs."""
    from models.maintenance.backup import backup as write

    manifest = write(Settings(), file)
    size = f"{file.stat().st_size / 1e6:.1f} MB"
    out.print(
        f"{file}: {len(manifest.files)} files, {size}. It has your keys: keep it secret.",
        soft_wrap=True,
    )


def restore(file: Path) -> None:
    """Fill an empty KAO_HOME, or DATABASE_URL, from an archive of `kao backup`, verified."""
    from models.maintenance.backup import restore as read

    settings = Settings()
    manifest = read(settings, file)
    out.print(f"{settings.home}: {len(manifest.files)} files, all verified", soft_wrap=True)
