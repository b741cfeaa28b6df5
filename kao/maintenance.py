"""The commands that look after files: `kao gc`, `kao verify`, `kao backup`, `kao restore`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from kao.console import out
from models.settings import Settings


def gc(
    yes: Annotated[bool, typer.Option("--yes", help="Remove them; without it, only list.")] = False,
) -> None:
    """Find files that no run, model or dataset needs; remove them with --yes."""
    from models.bootstrap import open_database
    from models.maintenance import bucket_garbage, garbage

    settings = Settings()
    engine = open_database(settings)
    files: list[garbage.Garbage | bucket_garbage.BucketGarbage] = []
    files += (garbage.collect if yes else garbage.find)(settings, engine)
    files += (bucket_garbage.collect if yes else bucket_garbage.find)(settings, engine)
    engine.dispose()
    table = Table(Column("what", overflow="fold"), "why", "size")
    for file in files:
        table.add_row(file.place, file.reason, f"{file.bytes / 1e6:.1f} MB")
    if files:
        out.print(table)
    total = f"{len(files)} files, {sum(file.bytes for file in files) / 1e6:.1f} MB"
    out.print(f"removed {total}" if yes else f"not needed: {total}; --yes removes them")


def verify(
    repair: Annotated[
        bool, typer.Option("--repair", help="Replace damaged copies where another exists.")
    ] = False,
) -> None:
    """Read every stored file that the database names, and list the damage."""
    from models.bootstrap import open_database
    from models.maintenance.scrub import scrub

    settings = Settings()
    engine = open_database(settings)
    damage = list(scrub(settings, engine, repair))
    engine.dispose()
    table = Table(Column("what", overflow="fold"), "problem", "repaired")
    for item in damage:
        table.add_row(item.name, item.problem, "yes" if item.is_repaired else "no")
    if damage:
        out.print(table)
    remaining = sum(not item.is_repaired for item in damage)
    out.print(f"{len(damage)} damaged, {len(damage) - remaining} repaired")
    if remaining:
        raise typer.Exit(1)


def backup(file: Annotated[Path, typer.Argument(help="The archive to write.")]) -> None:
    """Write database and blobs into one archive, while everything runs."""
    from models.maintenance.backup import backup as write

    manifest = write(Settings(), file)
    size = f"{file.stat().st_size / 1e6:.1f} MB"
    out.print(
        f"{file}: {len(manifest.files)} files, {size}. It contains your keys: keep it secret."
    )


def restore(file: Annotated[Path, typer.Argument(help="An archive of `kao backup`.")]) -> None:
    """Fill an empty KAO_HOME, or DATABASE_URL, from an archive of `kao backup`, verified."""
    from models.maintenance.backup import restore as read

    settings = Settings()
    manifest = read(settings, file)
    out.print(f"{settings.home}: {len(manifest.files)} files, all verified")
