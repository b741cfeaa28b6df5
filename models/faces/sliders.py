"""Sliders: directions of w along which one property of a face changes.

worker/publishing/slider_search.py finds them in a trained generator, without labels.
`traits.safetensors` has one vector (style,) for each slider: the change of w at its value 1.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.faces.attributes import TraitName

LOW, HIGH = -1.0, 1.0  # the range of values; 0 changes nothing


class Slider(BaseModel):
    """One direction, and its measurements on held-out faces.

    changes: a description in words. effect: the change of the property between -1 and 1, in
    standard deviations over random faces. obeyed: the share of faces whose property changed in
    the stated direction at both ends.
    """

    model_config = ConfigDict(frozen=True)

    name: TraitName
    changes: str
    effect: float = Field(ge=0)
    obeyed: float = Field(ge=0, le=1)


def values_of(sliders: Sequence[Slider], parameters: Mapping[str, Any]) -> dict[str, float]:
    """Return the parameters that are sliders and not 0, by name."""
    return {each.name: parameters[each.name] for each in sliders if parameters.get(each.name)}


def steer(
    w: NDArray[np.float32], vectors: Mapping[str, NDArray[np.float32]], values: Mapping[str, float]
) -> NDArray[np.float32]:
    """Move w (N, style) along each slider. Without values, w itself, bit for bit."""
    for name in sorted(values):
        w = w + np.float32(values[name]) * vectors[name]
    return w
