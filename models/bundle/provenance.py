"""Provenance: metadata in each weights file and graph of a bundle, for readers of one file alone.

Newly published bundles have it; older ones keep their bytes and versions. It is one entry, `kao`,
whose value is JSON: safetensors writes several entries in a random order, and equal weights must
give equal files. No file can state its bundle's version, which is the digest of all files.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open

from models.bundle.format import WEIGHTS, Card, DatasetCredit

ENTRY = "kao"
SEED_SPECIFICATION: int = Card.model_fields["seed_specification"].default


class Provenance(NamedTuple):
    """licence, credit, dataset (fingerprint): of the training set; digest: of the weights."""

    licence: str
    credit: str
    dataset: str
    digest: str
    seed_specification: int = SEED_SPECIFICATION

    def entries(self) -> dict[str, str]:
        """The metadata of a safetensors file or an ONNX graph."""
        return {ENTRY: json.dumps(self._asdict())}


def provenance(dataset: DatasetCredit, weights: bytes) -> Provenance:
    """The provenance of files beside these weights, the bytes of a safetensors file."""
    return Provenance(dataset.licence, dataset.credit, dataset.fingerprint, weights_digest(weights))


def provenance_of(folder: Path, dataset: DatasetCredit) -> Provenance:
    """The provenance of a new file in the folder of a bundle."""
    return provenance(dataset, (folder / WEIGHTS).read_bytes())


def weights_digest(content: bytes) -> str:
    """SHA-256 of what follows the header of a safetensors file: the numbers of all tensors."""
    length = int.from_bytes(content[:8], "little")
    return hashlib.sha256(memoryview(content)[8 + length :]).hexdigest()


def read(entries: Mapping[str, str] | None) -> dict[str, Any] | None:
    """The provenance in a file's metadata; None for a file of an older bundle."""
    text = (entries or {}).get(ENTRY)
    return None if text is None else dict(json.loads(text))


def read_weights(path: Path) -> dict[str, Any] | None:
    """The provenance in a safetensors file; None for one of an older bundle."""
    with safe_open(path, framework="np") as tensors:
        return read(tensors.metadata())
