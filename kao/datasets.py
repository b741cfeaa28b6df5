"""`kao dataset …`: list datasets, show the labels of one, pack one ahead of a run."""

import sys
from typing import Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from kao.arguments import DATASETS, Limit, dataset_name
from kao.console import err, out
from models.datasets.exclusions import MOST_SHOWN, printable
from models.datasets.labels import LabelTable
from models.settings import Settings

STARTER_SAMPLE = 2000  # pictures; together they show every value

cli = typer.Typer(no_args_is_help=True, help="Datasets to train on.")


@cli.command("list")
def list_datasets() -> None:
    """List the datasets that a run can name."""
    from models import bootstrap
    from models.datasets import catalogue

    table = Table("name", "images", "size", "licence", "left out")
    for name in sorted(catalogue.BUILT_IN):
        table.add_row(name, "any number", "", "CC0-1.0", "")
    for row in catalogue.list_datasets(bootstrap.prepare(Settings())):
        size = f"{row['bytes'] / 1e6:.1f} MB"
        report = row["report"] or {"left_out": []}
        reasons = "; ".join(
            f"{each['count']:,} {each['reason']}: {', '.join(each['examples'][:MOST_SHOWN])}"
            for each in report["left_out"]
        )
        table.add_row(row["name"], f"{row['images']:,}", size, row["licence"], reasons)
    out.print(table)


@cli.command("pack")
def pack_dataset(
    source: Annotated[str, typer.Argument(help="starter, a folder or a zip.")],
    size: Annotated[int, typer.Option(help="Side of the packed images, in pixels.")] = 64,
    limit: Limit = None,
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
            progress=lambda count, total: bar.update(task, completed=count, total=total),
        )
    for item in dataset.skipped:
        err.print(f"skipped {printable(item.name)}: {item.reason}")
    for reason in dataset.left_out:
        err.print(reason.describe())
    alike = dataset.near_duplicates
    if alike.count:
        groups = "; ".join(" = ".join(group[:MOST_SHOWN]) for group in alike.groups[:MOST_SHOWN])
        err.print(f"{alike.count:,} images look like an earlier one: {groups}")
    images = f"{dataset.count:,} images of {dataset.size}×{dataset.size}"
    out.print(f"{images}, {dataset.fingerprint[:16]}")


@cli.command("labels")
def show_labels(
    dataset: Annotated[str, typer.Argument(help=DATASETS)],
) -> None:
    """Show the labels that `--set labels=…` may name, and the columns that are left out."""
    from models import bootstrap
    from worker.datasets import lookup, starter_attributes

    settings = Settings()
    engine = bootstrap.prepare(settings)
    if dataset in starter_attributes.EDITIONS:
        edition = starter_attributes.EDITIONS[dataset]
        rows = starter_attributes.labels(STARTER_SAMPLE, edition)["attributes"]
        table = Table("label", "values")
        for name, row in rows.items():
            table.add_row(name, ", ".join(row["values"]))
        out.print(table)
        return
    label_table = lookup.find_source(settings, engine, dataset_name(dataset)).label_table()
    if label_table:
        out.print(_rows(label_table))
    else:
        err.print(
            "No labels: name the pictures in a metadata.csv, or put them into a folder for each "
            "class (docs/datasets.md)."
        )
    for column in label_table.left_out:
        err.print(f"left out {column.name}: {column.reason}")


def _rows(label_table: LabelTable) -> Table:
    table = Table("label", "values")
    for name, counts in label_table.counts().items():
        values = ", ".join(f"{value} {count:,}" for value, count in counts.items())
        table.add_row(_title(name, label_table), values)
    for name, (least, greatest) in label_table.ranges().items():
        slider = f"a slider, from {least:g} to {greatest:g}"
        table.add_row(_title(name, label_table), slider)
    return table


def _title(name: str, label_table: LabelTable) -> str:
    """A label's name, with its column's own where that is another."""
    column = label_table.column(name)
    return name if column == name else f"{name} ({column})"
