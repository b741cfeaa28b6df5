"""Which files of a dataset are pictures, and why the others are left out."""

from models.datasets.images import EXTENSIONS, is_hidden
from models.datasets.label_files import is_metadata

UNREAD = frozenset(
    {
        ".jxl", ".jp2", ".j2k", ".svg", ".psd", ".xcf", ".kra", ".clip", ".procreate", ".ico",
        ".tga", ".exr", ".hdr", ".dds", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf",
        ".rw2",
    }
)  # fmt: skip

# What might have labels under another name.
TABLES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".xls", ".xlsx", ".ods", ".parquet"})


def reason_to_leave_out(name: str) -> str | None:
    """Why a file with this slash-separated name is no picture of the set; None for a picture.

    Metadata files give labels and are no pictures either: "labels".
    """
    if is_hidden(name):
        return "hidden, thumbnail or trash"
    if is_metadata(name):
        return "labels"
    extension = _extension(name)
    if extension in EXTENSIONS:
        return None
    if extension in UNREAD:
        return f"{extension[1:].upper()} is not read"
    if extension in TABLES:
        return "a table, but not metadata.csv, .tsv or .jsonl"
    return "no picture by its name"


def _extension(name: str) -> str:
    file = name.rpartition("/")[2].lower()
    return file[file.rfind(".") :] if "." in file else ""
