"""The kinds of dataset sources: each module here is one, and is found by being here.

A module has `recognise(source, name, licence)`, which returns a `DatasetSource` for what it reads
and None for anything else.
"""

import pkgutil
from importlib import import_module
from pathlib import Path

from models.errors import DatasetError
from worker.datasets.source import DatasetSource


def open_source(
    source: str | Path, name: str | None = None, licence: str = "unknown"
) -> DatasetSource:
    """The source that a name or a path means, from the first module that recognises it.

    Raises DatasetError where none does.
    """
    if not str(source):  # Path("") would be the current folder
        raise DatasetError("The dataset has no name; give a folder, a zip, or 'starter'.")
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda each: each.name):
        kind = import_module(f"{__name__}.{module.name}")
        dataset_source: DatasetSource | None = kind.recognise(source, name, licence)
        if dataset_source is not None:
            return dataset_source
    raise DatasetError(
        f"There is no folder or zip at {str(source)!r}; give one of those, or 'starter'."
    )
