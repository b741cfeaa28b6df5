"""Sliders: directions of w along which one thing of a face changes, more or less.

worker/publishing/slider_search.py finds them in a trained generator, so a set without labels has
them too.
`traits.safetensors` has one vector (style,) a slider: how far its value 1 moves w.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.faces.attributes import TraitName

LOW, HIGH = -1.0, 1.0  # what can be asked for; 0 changes nothing


class Slider(BaseModel):
    """One direction, and what was measured on fresh faces when it was found.

    changes: in words. effect: how much it changes from -1 to 1, in standard deviations of what
    faces have anyway. obeyed: the share of faces that changed the way it says, at both ends.
    """

    model_config = ConfigDict(frozen=True)

    name: TraitName
    changes: str
    effect: float = Field(ge=0)
    obeyed: float = Field(ge=0, le=1)


def asked(sliders: Sequence[Slider], given: Mapping[str, Any]) -> dict[str, float]:
    """Those of `given` that are sliders, and not at rest."""
    return {each.name: given[each.name] for each in sliders if given.get(each.name)}


def steer(
    w: NDArray[np.float32], vectors: Mapping[str, NDArray[np.float32]], asked: Mapping[str, float]
) -> NDArray[np.float32]:
    """w (N, style) moved along each slider; untouched, bit for bit, where none is asked for."""
    for name in sorted(asked):
        w = w + np.float32(asked[name]) * vectors[name]
    return w
