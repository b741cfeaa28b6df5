"""Weights of a run with fewer labels, made to fit networks with more of them.

What a network has for the new labels alone keeps its first values, and the generator's are 0, so
that it draws as before until it has learnt what they mean.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

# Of the generator: these read labels, and these follow from the labels themselves.
READS_LABELS = "mapping.layers.0.weight"
FOLLOWS_LABELS = ("mapping.above", "mapping.up_to")


def extend_generator(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A generator's weights (`own`: those of the new one), with zeros for the new labels."""
    start = {**own, READS_LABELS: own[READS_LABELS].new_zeros(own[READS_LABELS].shape)}
    extended = extend(weights, start)
    return {**extended, **{name: own[name] for name in FOLLOWS_LABELS if name in own}}


def extend(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`own`, with each tensor's leading part replaced by the one of the same name in `weights`."""
    return {name: _lay_over(own[name], weights.get(name)) for name in own}


def extend_optimizer(
    state: Mapping[str, Any], parameters: Sequence[nn.Parameter]
) -> dict[str, Any]:
    """Adam's state for these parameters: new elements have moved as the others of their tensor."""
    entries = {}
    for number, entry in state["state"].items():
        shape = parameters[number].shape
        entries[number] = {
            name: _lay_over(value.new_full(shape, value.mean()), value)
            if name == "exp_avg_sq"
            else _lay_over(value.new_zeros(shape), value)
            if name == "exp_avg"
            else value
            for name, value in entry.items()
        }
    return {**state, "state": entries}


def _lay_over(own: Tensor, part: Tensor | None) -> Tensor:
    if part is None or part.shape == own.shape:
        return own if part is None else part
    whole = own.clone()
    whole[tuple(slice(size) for size in part.shape)] = part.to(own.dtype)
    return whole
