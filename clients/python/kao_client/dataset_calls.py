"""The calls about datasets."""

from pathlib import Path

from kao_client.answers import (
    Contents,
    Dataset,
    DatasetDetails,
    Upload,
    content,
    many,
    no_content,
    one,
)
from kao_client.calls import ZIP, Call, query, segment


def datasets() -> Call[list[Dataset]]:
    """List the datasets: `starter`, then the uploads by name."""
    return Call("GET", "/datasets", many("datasets", Dataset))


def dataset(name: str) -> Call[DatasetDetails]:
    """Read a dataset: its labels with their values and counts, and what is left out, and why."""
    return Call("GET", f"/datasets/{segment(name)}", one(DatasetDetails))


def dataset_contents(name: str) -> Call[Contents]:
    """Check an uploaded set: duplicates, and pictures that cannot be decoded."""
    return Call("GET", f"/datasets/{segment(name)}/contents", one(Contents))


def dataset_preview(
    name: str,
    count: int | None = None,
    columns: int | None = None,
    size: int | None = None,
    label: str | None = None,
    value: str | None = None,
) -> Call[bytes]:
    """The first pictures of an uploaded set, or of those with a label's value, as a WebP."""
    options = {"count": count, "columns": columns, "size": size, "label": label, "value": value}
    return Call("GET", f"/datasets/{segment(name)}/preview.webp", content, query(options))


def upload(name: str, file: Path, licence: str = "unstated", strict: bool = False) -> Call[Upload]:
    """Upload a zip of pictures. strict: refuse it for one that cannot be read."""
    parameters = {"name": name, "licence": licence, "strict": "true" if strict else None}
    return Call("POST", "/datasets", one(Upload), query(parameters), ZIP, file=file)


def delete_dataset(name: str) -> Call[None]:
    """Delete a dataset."""
    return Call("DELETE", f"/datasets/{segment(name)}", no_content)
