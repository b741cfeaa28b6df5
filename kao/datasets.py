"""`kao dataset …`: list the datasets that a run can name, and pack one ahead of a run."""

import sys
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from kao.console import err, out
from models.settings import Settings

cli = typer.Typer(no_args_is_help=True, help="Datasets to train on.")


@cli.command("list")
def list_datasets() -> None:
    """List the datasets that a run can name."""
    from models import bootstrap
    from models.datasets import catalogue

    table = Table("name", "images", "size", "licence")
    table.add_row("starter", "any number", "", "CC0-1.0")
    for row in catalogue.list_datasets(bootstrap.prepare(Settings())):
        size = f"{row['bytes'] / 1e6:.1f} MB"
        table.add_row(row["name"], f"{row['images']:,}", size, row["licence"])
    out.print(table)


@cli.command("pack")
def pack_dataset(
    source: Annotated[str, typer.Argument(help="starter, a folder or a zip.")],
    size: Annotated[int, typer.Option(help="Side of the packed images, in pixels.")] = 64,
    limit: Annotated[int | None, typer.Option(help="Use only the first N images.")] = None,
) -> None:
    """Decode a dataset now, so that the next run starts sooner; list what was skipped."""
    from worker.datasets.packing import pack

    settings = Settings()
    with Progress(console=err, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("packing", total=None)
        dataset = pack(
            source,
            size,
            settings.cache,
            limit=limit,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    for item in dataset.skipped:
        err.print(f"skipped {item.name}: {item.reason}")
    images = f"{dataset.count:,} images of {dataset.size}×{dataset.size}"
    out.print(f"{images}, {dataset.fingerprint[:16]}")
