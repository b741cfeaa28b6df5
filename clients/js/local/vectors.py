"""Write `vectors.json`: what Kao's Python derives, for the tests of every other language.

    python clients/js/local/vectors.py > clients/js/local/vectors.json

Numbers are float32 in the fewest digits that give them back.
"""

import json
import sys
from typing import Any

import numpy as np

from models.faces import attributes, latents

LENGTH = 137  # no multiple of four, so that the last block is cut
SEEDS = ("", "42", "042", "hello", "é", "e\u0301", "顔", "🦊", "user@example.com", "x" * 4096)
ATTRIBUTES = (
    attributes.Attribute(name="hair", values=["black", "pink", "none"], shares=[0.7, 0.3, 0.0]),
    attributes.Attribute(name="mood", values=["sad", "happy"], shares=[1e-7, 1 - 1e-7]),
)


def vectors() -> dict[str, Any]:
    """Seeds with variants and keys, uniform numbers, probes and values of attributes."""
    return {
        "specification": 1,
        "latents": [
            {"seed": seed, "variant": variant, "z": _numbers(latents.derive(seed, LENGTH, variant))}
            for seed in SEEDS
            for variant in (0, 999)
        ],
        "streams": [
            {"seed": "42", "key": key, "z": _numbers(latents.normals("42", key, 8))}
            for key in ("walk:1", "child:0:own", "")
        ],
        "probes": [_numbers(row) for row in latents.probes(5)],
        "attributes": [
            {**attribute.model_dump(), "normals": dict(_normals(attribute))}
            for attribute in ATTRIBUTES
        ],
    }


def _normals(attribute: attributes.Attribute) -> list[tuple[str, float]]:
    return [(value, _number(np.float32(attribute.normal(value)))) for value in attribute.available]


def _numbers(row: latents.Latent) -> list[float]:
    return [_number(value) for value in row]


def _number(value: np.float32) -> float:
    return float(str(value))


if __name__ == "__main__":
    json.dump(vectors(), sys.stdout, indent=0)
    print()
