"""`kao keys` and `kao sign`: API keys, and addresses that open without one."""

import time
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.table import Column, Table

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

    key, row = keys.create(_open_database()[0], name, scope or SCOPES.keys())
    err.print(f"Key {row.id} may: {', '.join(row.scopes)}. It is shown only now:")
    out.print(key)


@cli.command("list")
def list_keys() -> None:
    """List every key, the newest first, without the key itself."""
    from models import keys

    table = Table(Column("id", min_width=12, no_wrap=True), "name", "scopes", "created", "revoked")
    for key in keys.list_keys(_open_database()[0]):
        dates = [at[:19].replace("T", " ") for at in (key.created, key.revoked or "")]
        table.add_row(key.id, key.name, ", ".join(key.scopes), *dates)
    out.print(table)


@cli.command("revoke")
def revoke(id: Annotated[str, typer.Argument(help="The key's id, as `kao keys list`.")]) -> None:
    """Revoke a key: it opens nothing any more, nor do the addresses that it signed."""
    from models import keys

    keys.revoke(_open_database()[0], id)
    out.print(f"revoked {id}")


def sign(
    url: Annotated[str, typer.Argument(help="The address of a picture.")],
    days: Annotated[float, typer.Option(min=0.001, max=366, help="How many days it is valid.")] = 1,
    key_file: Annotated[
        Path | None, typer.Option(help="File with the key that signs; default: the first key.")
    ] = None,
) -> None:
    """Sign the address of a picture that is not public (KAO_PUBLIC_AVATARS=false).

    The database cannot sign: it has public keys only.
    """
    from app.auth import signed_urls
    from models import keys
    from models.settings import Settings

    database, first_key = _open_database()
    secret = key_file.read_text(errors="replace").strip() if key_file else first_key
    row = keys.find(database, secret) if secret else None
    if secret is None or row is None or "avatars" not in row.scopes:
        raise KaoError(
            "Signing needs an active key with the scope avatars: KAO_API_KEY, the file api-key in "
            "KAO_HOME, or --key-file."
        )
    expires, prefix = int(time.time() + days * DAY), Settings().path_prefix
    address = signed_urls.sign(row.id, secret, url, expires, prefix)
    out.print(address)


def _open_database() -> tuple[sa.Engine, str | None]:
    """The migrated database, and the first key where it is known and active."""
    from models import bootstrap, keys
    from models.settings import Settings

    settings = Settings()
    engine = bootstrap.prepare(settings)
    # As `kao up` would: without it, creating a key would leave the home without its first one.
    return engine, keys.ensure_first_key(engine, settings)
