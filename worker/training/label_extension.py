"""Weights of a run with fewer labels, made to fit networks with more of them.

What a network has for the new labels alone keeps its first values. The generator's mapping pads
its weights by itself when it loads them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from models.errors import KaoError

# Of the generator: these follow from the labels themselves.
FOLLOWS_LABELS = ("mapping.above", "mapping.up_to")
# Adam's averages of new elements: no direction yet, and the steps that the others take.
NEW_AVERAGES: dict[str, Callable[[Tensor], float]] = {
    "exp_avg": lambda average: 0.0,
    "exp_avg_sq": lambda average: float(average.mean()),
}


def check_values(
    own: Sequence[Mapping[str, Any]], old: Sequence[Mapping[str, Any]], source: str
) -> None:
    """Raises KaoError unless the labels that weights were trained with are this run's first ones.

    own, old: labels as JSON. The networks identify a value by its place alone.
    """
    values, old_values = (
        [(label["name"], label["values"]) for label in labels] for labels in (own, old)
    )
    if values[: len(old_values)] != old_values:
        raise KaoError(f"{source} does not fit: the new set's labels have other values.")


def with_intervals_of(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """A generator's weights, with the intervals of this set's labels (`own`: its first weights).

    The values that a latent selects are as frequent as in the set, which the card describes.
    """
    return {**weights, **{name: own[name] for name in FOLLOWS_LABELS if name in own}}


def extend(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`own`, with each tensor's leading part replaced by the one of the same name in `weights`."""
    return {name: _lay_over(own[name], weights.get(name)) for name in own}


def extend_optimizer(
    state: Mapping[str, Any], parameters: Sequence[nn.Parameter]
) -> dict[str, Any]:
    """Adam's state for these parameters."""
    entries = {
        number: {
            name: _lay_over(
                value.new_full(parameters[number].shape, NEW_AVERAGES[name](value)), value
            )
            if name in NEW_AVERAGES
            else value
            for name, value in entry.items()
        }
        for number, entry in state["state"].items()
    }
    return {**state, "state": entries}


def _lay_over(own: Tensor, part: Tensor | None) -> Tensor:
    if part is None or part.shape == own.shape:
        return own if part is None else part
    whole = own.clone()
    whole[tuple(slice(size) for size in part.shape)] = part.to(own.dtype)
    return whole
