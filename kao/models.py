"""`kao models …`: list, show, promote, export and import published models."""

from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from models import bootstrap
from models.registry import Registry
from models.settings import Settings

cli = typer.Typer(no_args_is_help=True, help="Published models.")
out = Console()


@cli.command("list")
def list_() -> None:
    """Every version, the newest first."""
    registry = open_registry()
    names: dict[str, list[str]] = {}
    for alias, version in registry.aliases().items():
        names.setdefault(version, []).append(alias)
    table = Table("version", "aliases", "published", "size", "images seen", "dataset")
    for row in registry.list_models():
        card = row["card"]
        table.add_row(
            row["version"][:16],
            ", ".join(names.get(row["version"], [])),
            row["published"][:19],
            f"{row['bytes'] / 1e6:.1f} MB",
            f"{card['training']['images']:,}",
            card["dataset"]["name"],
        )
    out.print(table)


@cli.command("show")
def show(model: str = "default") -> None:
    """A model's card."""
    row = open_registry().get(model)
    out.print_json(data={"version": row["version"], **row["card"]})


@cli.command()
def promote(model: str, force: bool = False) -> None:
    """Serve this model by default; --force though it lacks traits of the one that serves."""
    out.print(f"default is now {open_registry().promote(model, force)}")


@cli.command()
def rollback() -> None:
    """Serve again what was served before."""
    out.print(f"default is now {open_registry().roll_back()}")


@cli.command("export")
def export(model: str, file: Path) -> None:
    """Write a model into one zip, to carry it to another machine."""
    out.print(f"{file}: {open_registry().export(model, file)}")


@cli.command("import")
def import_(file: Path) -> None:
    """Add a model that `kao models export` wrote."""
    out.print(f"added {open_registry().import_zip(file)}")


def open_registry() -> Registry:
    """The registry of this home, with the shipped models registered."""
    settings = Settings()
    return Registry(bootstrap.prepare(settings), settings.blobs)
