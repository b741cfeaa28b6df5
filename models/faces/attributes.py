"""Attributes of a conditional generator. Each is selected by one extra latent dimension.

Attribute a is selected by the latent's element `latent + a`, a standard normal like all others.
The real line is divided into one interval for each value, with the value's frequency as its
probability. A seed alone therefore gives every attribute, and selecting a value changes one number.

A nested attribute refines another one, its parent: `hair`, one of 48 drawings, refines
`hair_length`. There each value of the parent divides the whole line among the values that refine
it, so that whichever value of the parent is selected, the same number selects one that fits it.
"""

from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

_NORMAL = NormalDist()
# Beyond any normal that a seed gives (docs/seeds.md: 52 bits reach 8.2), but finite, because
# verification refuses infinite numbers in a bundle.
FAR = 100.0
SMALLEST = 1e-15  # of a probability: its normal is finite
RAREST = 1e-9  # a smaller share is a rounding error: no image has the value
# Query parameters of pictures, present and reserved: no attribute or slider may have such a name.
_PARAMETERS = (
    "age angle at backdrop best_of blur border child children coarse columns count crop d default "
    "distinct dpr ease expires f fine flip forcedefault format fps frames from gap height key loop "
    "margin mirror model opacity padding parents psi quality r radius rating rotate s scale seed "
    "seeds shape signature size speed start stops t tint to trait traits variant version w weights "
    "width z zoom"
)
RESERVED_NAMES = frozenset(_PARAMETERS.split())


def _refuse_reserved(name: str) -> str:
    if name in RESERVED_NAMES:
        raise ValueError(f"{name!r} is a parameter of pictures; call the attribute something else")
    return name


# As it is written in a URL: ?hair_colour=pink
TraitName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64), AfterValidator(_refuse_reserved)
]


class Attribute(BaseModel):
    """A label of the dataset. shares: the frequency of each value; they sum to 1.

    hidden: the generator is conditioned on it, but no request can select its value.
    parent: the attribute that a nested one refines; parent_codes: for each value, the place of
    the parent's value that it refines.
    """

    model_config = ConfigDict(frozen=True)

    name: TraitName
    values: list[str] = Field(min_length=1)
    shares: list[float]
    hidden: bool = False
    parent: TraitName | None = None
    parent_codes: list[int] = []

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if len(self.shares) != len(self.values) or len(set(self.values)) < len(self.values):
            raise ValueError("each value must be listed once, with its share")
        if len(self.parent_codes) != (len(self.values) if self.parent else 0):
            raise ValueError("each value of a nested attribute refines one of its parent's values")
        if self.parent and not self.hidden:
            raise ValueError("a nested attribute must be hidden: its value depends on another's")
        return self

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Cards of models without hidden attributes stay as they were."""
        optional = ("hidden", "parent", "parent_codes")
        return {key: value for key, value in handler(self).items() if value or key not in optional}

    @property
    def available(self) -> list[str]:
        """The values that a request can select: those that at least one image has."""
        return [
            value for value, share in zip(self.values, self.shares, strict=True) if share > RAREST
        ]

    def intervals(self) -> list[tuple[float, float]]:
        """(lower, upper) bound of each value on the real line."""
        bounds = []
        for start, share, is_last in self._quantiles():
            bounds.append((_edge(start), FAR if is_last else _edge(start + share)))
        return bounds

    def _quantiles(self) -> list[tuple[float, float, bool]]:
        """For each value where its interval starts, its probability, and whether it ends a line.

        There is one line, or for a nested attribute one for each value of the parent.
        """
        codes = self.parent_codes or [0] * len(self.values)
        totals = dict.fromkeys(codes, 0.0)
        whole = dict.fromkeys(codes, 0.0)
        last = {code: place for place, code in enumerate(codes)}
        for code, share in zip(codes, self.shares, strict=True):
            whole[code] += share
        quantiles = []
        for place, (code, share) in enumerate(zip(codes, self.shares, strict=True)):
            if self.parent:
                share = share / whole[code] if whole[code] > RAREST else 0.0
            quantiles.append((totals[code], share, last[code] == place))
            totals[code] += share
        return quantiles

    def sample(self, codes: NDArray[np.int64], uniform: NDArray[np.float64]) -> NDArray[np.float32]:
        """Standard normals that select the values with these codes: (N,) float32.

        uniform: (N,) in [0, 1), the quantile within each value's interval.
        """
        lower, upper = np.array(self.intervals(), np.float32)[codes].T
        start, width, _ = np.array(self._quantiles(), np.float64)[codes].T
        share = start + uniform * width
        normals = np.array([_NORMAL.inv_cdf(min(max(p, SMALLEST), 1 - SMALLEST)) for p in share])
        # Rounding may leave the interval slightly; its bounds are compared in float32.
        lowest = np.nextafter(lower, np.float32(FAR))
        return np.clip(normals.astype(np.float32), lowest, upper)

    def value_of(self, element: float) -> str:
        """The value that a latent element selects, compared in float32 as the network does.

        Raises ValueError outside all intervals.
        """
        number = np.float32(element)
        for value, (lower, upper) in zip(self.values, self.intervals(), strict=True):
            if np.float32(lower) < number <= np.float32(upper):
                return value
        raise ValueError(f"{element} lies in no interval")  # not finite, or beyond FAR

    def normal(self, value: str) -> float:
        """The latent element for a value: the median of its interval. Raises ValueError."""
        start, share, _ = self._quantiles()[self.values.index(value)]
        return _NORMAL.inv_cdf(start + share / 2)


def _edge(share: float) -> float:
    # A value that no image has gets an empty interval, whatever rounding left of its share.
    if not RAREST < share < 1 - RAREST:
        return -FAR if share < 0.5 else FAR
    return _NORMAL.inv_cdf(share)


def select(
    z: NDArray[np.float32], attributes: Sequence[Attribute], values: Mapping[str, Any]
) -> NDArray[np.float32]:
    """Return a copy of z (N, latent) with the elements of the selected attributes replaced.

    Names in `values` that are no attribute's are ignored. Raises ValueError for a value that
    is not `available`.
    """
    latents, first = z.copy(), z.shape[1] - len(attributes)
    for column, attribute in enumerate(attributes, first):
        if attribute.name in values:
            latents[:, column] = attribute.normal(values[attribute.name])
    return latents


def from_labels(
    labels: Mapping[str, Mapping[str, Sequence[Any]]],
    names: Sequence[str],
    hidden_names: Sequence[str] = (),
) -> list[Attribute]:
    """Build the attributes `names` from a packed dataset's labels, with their frequencies.

    Those of `hidden_names` follow; one that refines an attribute of `names`, because each of its
    values occurs with one value of the other alone, is nested in it.
    Raises KeyError for a name that the labels lack.
    """
    attributes = [_attribute(labels, name) for name in names]
    for name in hidden_names:
        parents = {each: _parent_codes(labels[each], labels[name]) for each in names}
        parent = next((each for each, codes in parents.items() if codes), None)
        attributes.append(
            _attribute(
                labels,
                name,
                hidden=True,
                parent=parent,
                parent_codes=parents[parent] if parent else [],
            )
        )
    return attributes


def _attribute(
    labels: Mapping[str, Mapping[str, Sequence[Any]]], name: str, **fields: Any
) -> Attribute:
    values, codes = list(labels[name]["values"]), list(labels[name]["codes"])
    shares = [codes.count(code) / len(codes) for code in range(len(values))]
    return Attribute(name=name, values=values, shares=shares, **fields)


def _parent_codes(
    parent: Mapping[str, Sequence[Any]], child: Mapping[str, Sequence[Any]]
) -> list[int]:
    """For each value of `child` the only value of `parent` beside it; none where one has two."""
    pairs = set(zip(child["codes"], parent["codes"], strict=True))
    beside = dict(pairs)
    if len(beside) < len(pairs) or len(set(beside.values())) < 2:
        return []
    # A value that no image has refines any: its interval is empty.
    return [beside.get(code, 0) for code in range(len(child["values"]))]
