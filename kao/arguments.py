"""Arguments that several commands have, with the same words in each one's --help."""

from pathlib import Path
from typing import Annotated

import typer

from models.errors import KaoError
from models.settings import Settings

DATASETS = "starter, an uploaded set, a folder or a zip."
Model = Annotated[str, typer.Argument(help="An alias, a version or its first digits.")]
Limit = Annotated[int | None, typer.Option(help="Use only the first N images.")]


def dataset_name(name: str) -> str:
    """A recipe's name for a dataset: `path:` and the path for a folder or zip of this machine.

    Raises KaoError where a folder here and an uploaded dataset have the same name, and for a path
    that is not UTF-8, which no recipe can hold.
    """
    from models.datasets import catalogue

    if name in catalogue.BUILT_IN:
        return name
    if not name or not Path(name).exists():  # Path("") would be the current folder
        if not catalogue.NAME.fullmatch(name):  # then it is no uploaded set's
            raise KaoError(f"There is no folder or zip {name!r} in {Path.cwd()}.")
        return name
    path = str(Path(name).absolute())
    readable = path.encode(errors="replace").decode()
    if readable != path:
        raise KaoError(
            f"The path {readable!r} is not UTF-8; rename the folder, or give a link to it."
        )
    if catalogue.NAME.fullmatch(name) and _is_uploaded(name):
        raise KaoError(
            f"{name!r} is both an uploaded dataset and {path}; write './{name}' "
            "for the latter, or rename one of the two."
        )
    from worker.datasets.lookup import LOCAL

    return f"{LOCAL}{path}"


def _is_uploaded(name: str) -> bool:
    from models import bootstrap
    from models.datasets import catalogue

    rows = catalogue.list_datasets(bootstrap.prepare(Settings()))
    return any(row["name"] == name for row in rows)
