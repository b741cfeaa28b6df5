"""JavaScript derives what Python derives."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.clients.js.local.conftest import RunNode

FOLDER = Path(__file__).parents[4] / "clients" / "js" / "local"
VECTORS = FOLDER / "vectors.json"


def test_the_vectors_are_what_python_derives() -> None:
    spec = importlib.util.spec_from_file_location("vectors", FOLDER / "vectors.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert json.loads(VECTORS.read_text()) == module.vectors()


@pytest.mark.parametrize("kind", ["latents", "streams", "probes", "attributes"])
def test_javascript_derives_the_vectors(run_node: RunNode, kind: str) -> None:
    vectors = json.loads(VECTORS.read_text())[kind]
    node_values = json.loads(run_node("derive.mjs", VECTORS))[kind]
    assert node_values == [_rounded(_numbers(vector)) for vector in vectors]


def _numbers(vector: Any) -> list[float]:
    """The numbers of one vector of any kind."""
    if isinstance(vector, list):
        return vector
    return list(vector["normals"].values()) if "normals" in vector else list(vector["z"])


def _rounded(numbers: list[float]) -> list[float]:
    """As float32, in float64's digits as JavaScript prints them."""
    return [float(np.float32(number)) for number in numbers]
