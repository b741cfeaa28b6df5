"""`kao models …`: list, show, promote and share published models."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from kao.arguments import Model
from kao.console import out
from models import bootstrap
from models.registry import Registry
from models.settings import Settings

cli = typer.Typer(no_args_is_help=True, help="Published models.")


@cli.command("list")
def list_models() -> None:
    """List every version, the newest first."""
    registry = open_registry()
    names: dict[str, list[str]] = {}
    for alias, version in registry.aliases().items():
        names.setdefault(version, []).append(alias)
    versions = Column("version", min_width=16, no_wrap=True)  # to be copied into other commands
    table = Table(versions, "aliases", "published", "size", "images seen", "dataset")
    for row in registry.list_models(with_cards=True):
        card = row["card"]
        table.add_row(
            row["version"][:16],
            ", ".join(names.get(row["version"], [])),
            row["published"][:19].replace("T", " "),
            f"{row['bytes'] / 1e6:.1f} MB",
            f"{card['training']['images']:,}",
            card["dataset"]["name"],
        )
    out.print(table)


@cli.command("show")
def show(model: Model = "default") -> None:
    """Print a model's card as JSON."""
    row = open_registry().get(model)
    out.print_json(data={"version": row["version"], **row["card"]})


@cli.command("promote")
def promote(
    model: Model,
    force: Annotated[
        bool, typer.Option("--force", help="Although it lacks traits of the current default.")
    ] = False,
) -> None:
    """Serve this model by default."""
    out.print(f"default is now {open_registry().promote(model, force)}")


@cli.command("rollback")
def roll_back() -> None:
    """Serve the previous default again."""
    out.print(f"default is now {open_registry().roll_back()}")


@cli.command("export")
def export(model: Model, file: Annotated[Path, typer.Argument(help="The zip to write.")]) -> None:
    """Write a model into one zip, to carry it to another machine."""
    out.print(f"{file}: {open_registry().export(model, file)}")


@cli.command("import")
def import_model(
    file: Annotated[Path, typer.Argument(help="A zip of `kao models export`.")],
) -> None:
    """Add a model from a zip of `kao models export`."""
    out.print(f"added {open_registry().import_zip(file)}")


@cli.command("push")
def push(
    model: Model,
    repository: Annotated[str, typer.Argument(help="owner/name; made if it is missing.")],
    private: Annotated[bool, typer.Option("--private", help="Make it private.")] = False,
) -> None:
    """Upload a model with a README to the Hugging Face Hub, or to HF_ENDPOINT."""
    from kao import hub

    out.print(hub.push(hub.connect(), open_registry(), model, repository, private))


@cli.command("pull")
def pull(
    repository: Annotated[str, typer.Argument(help="owner/name.")],
    revision: Annotated[
        str | None, typer.Option(help="A branch, tag or commit; by default the main branch.")
    ] = None,
) -> None:
    """Add a model from the Hugging Face Hub, or from HF_ENDPOINT."""
    from kao import hub

    out.print(f"added {hub.pull(hub.connect(), open_registry(), repository, revision)}")


@cli.command("adopt")
def adopt() -> None:
    """Register the models of the store again, after the database was lost."""
    versions = bootstrap.adopt(Settings())
    out.print("\n".join(f"adopted {version}" for version in versions) or "nothing to adopt")


def open_registry() -> Registry:
    """The registry of this home, with the shipped models registered."""
    settings = Settings()
    return Registry(bootstrap.prepare(settings), settings.blobs)
