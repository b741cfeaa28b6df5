"""`kao dataset …`: list the sets that a run can name, and pack one ahead of a run."""

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from models.settings import Settings

cli = typer.Typer(no_args_is_help=True, help="Sets of images to train on.")
out = Console()
err = Console(stderr=True)


@cli.command("list")
def dataset_list() -> None:
    """The sets that a run can name."""
    from models import bootstrap
    from models.datasets import catalogue

    table = Table("name", "images", "size", "licence")
    table.add_row("starter", "any number", "", "CC0-1.0")
    for row in catalogue.list_datasets(bootstrap.prepare(Settings())):
        table.add_row(
            row["name"], f"{row['images']:,}", f"{row['bytes'] / 1e6:.1f} MB", row["licence"]
        )
    out.print(table)


@cli.command("pack")
def dataset_pack(
    source: str, size: int = 64, limit: Annotated[int | None, typer.Option()] = None
) -> None:
    """Decode a set now, so that the next run need not; tells what was skipped."""
    from worker.datasets.packing import pack

    settings = Settings()
    with Progress(console=err, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("packing", total=None)
        packed = pack(
            source,
            size,
            settings.cache,
            limit=limit,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for skipped in packed.skipped:
        err.print(f"skipped {skipped.name}: {skipped.reason}", highlight=False)
    out.print(f"{packed.count:,} images of {packed.size}×{packed.size}, {packed.fingerprint[:16]}")
