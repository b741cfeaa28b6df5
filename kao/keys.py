"""`kao keys` and `kao sign`."""

import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from models.keys import SCOPES

cli = typer.Typer(no_args_is_help=True, help="API keys: who may do what.")
out = Console()
err = Console(stderr=True)
DAY = 24 * 3600  # s


@cli.command()
def create(
    name: str,
    scope: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(SCOPES)}; without any: all of them.")
    ] = None,
) -> None:
    """Make a key and print it, this once."""
    from models import keys

    key, row = keys.create(_database(), name, scope or SCOPES.keys())
    err.print(f"Key {row.id} may: {', '.join(row.scopes)}. It is shown only now:", highlight=False)
    out.print(key, highlight=False, soft_wrap=True)


@cli.command("list")
def listed() -> None:
    """Every key, the newest first, without the key itself."""
    from models import keys

    table = Table("id", "name", "scopes", "created", "revoked")
    for key in keys.listed(_database()):
        dates = (key.created[:19], (key.revoked or "")[:19])
        table.add_row(key.id, key.name, ", ".join(key.scopes), *dates)
    out.print(table)


@cli.command()
def revoke(id: str) -> None:
    """From now on it opens nothing, nor does what it signed."""
    from models import keys

    keys.revoke(_database(), id)
    out.print(f"revoked {id}", highlight=False)


def sign(
    url: str,
    days: Annotated[float, typer.Option(min=0, help="How long it opens.")] = 1,
    key: Annotated[str | None, typer.Option(help="Id of the key that signs.")] = None,
) -> None:
    """A picture's address that opens without a key, for a while (KAO_PUBLIC_AVATARS=false)."""
    from app.auth import signed_urls
    from models import keys
    from models.errors import KaoError

    database = _database()
    active = (row for row in keys.listed(database) if row.revoked is None)
    can = [row for row in active if "avatars" in row.scopes and key in (None, row.id)]
    if not can:
        raise KaoError("No such active key with the scope avatars: see `kao keys list`.")
    # The oldest: others come and go, and what they signed goes with them.
    signed = signed_urls.sign(can[-1], url, int(time.time() + days * DAY))
    out.print(signed, highlight=False, soft_wrap=True, markup=False)


def _database() -> Any:
    from models import bootstrap, keys
    from models.settings import Settings

    settings = Settings()
    engine = bootstrap.prepare(settings)
    keys.ensure_first_key(engine, settings)  # as a start would: others come beside it
    return engine
