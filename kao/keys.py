"""`kao keys` and `kao sign`: API keys, and addresses that open without one."""

import time
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.table import Table

from kao.console import err, out
from models.errors import KaoError
from models.keys import SCOPES

cli = typer.Typer(no_args_is_help=True, help="API keys: who may do what.")
DAY = 24 * 3600  # s


@cli.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(SCOPES)}; without any: all of them.")
    ] = None,
) -> None:
    """Create a key and print it, this once."""
    from models import keys

    key, row = keys.create(_open_database(), name, scope or SCOPES.keys())
    err.print(f"Key {row.id} may: {', '.join(row.scopes)}. It is shown only now:")
    out.print(key)


@cli.command("list")
def list_keys() -> None:
    """List every key, the newest first, without the key itself."""
    from models import keys

    table = Table("id", "name", "scopes", "created", "revoked")
    for key in keys.listed(_open_database()):
        dates = (key.created[:19], (key.revoked or "")[:19])
        table.add_row(key.id, key.name, ", ".join(key.scopes), *dates)
    out.print(table)


@cli.command("revoke")
def revoke(id: Annotated[str, typer.Argument(help="The key's id, as `kao keys list`.")]) -> None:
    """Revoke a key: it opens nothing any more, nor do the addresses that it signed."""
    from models import keys

    keys.revoke(_open_database(), id)
    out.print(f"revoked {id}")


def sign(
    url: Annotated[str, typer.Argument(help="The address of a picture.")],
    days: Annotated[float, typer.Option(min=0, help="How long it opens.")] = 1,
    key: Annotated[str | None, typer.Option(help="Id of the key that signs.")] = None,
) -> None:
    """Sign a picture's address: it opens without a key for a while (KAO_PUBLIC_AVATARS=false)."""
    from app.auth import signed_urls
    from models import keys

    database = _open_database()
    active = (row for row in keys.listed(database) if row.revoked is None)
    candidates = [row for row in active if "avatars" in row.scopes and key in (None, row.id)]
    if not candidates:
        raise KaoError("No such active key with the scope avatars: see `kao keys list`.")
    # The oldest: newer ones are revoked more often, and their addresses with them.
    address = signed_urls.sign(candidates[-1], url, int(time.time() + days * DAY))
    out.print(address)


def _open_database() -> sa.Engine:
    from models import bootstrap, keys
    from models.settings import Settings

    settings = Settings()
    engine = bootstrap.prepare(settings)
    # As `kao up` would: without it, creating a key would leave the home without its first one.
    keys.ensure_first_key(engine, settings)
    return engine
