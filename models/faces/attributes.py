"""Attributes of a conditional generator. Each is selected by one extra latent dimension.

Attribute a is selected by the latent's element `latent + a`, a standard normal like all others.
The real line is divided into one interval for each value, with the value's frequency as its
probability. A seed alone therefore gives every attribute, and selecting a value changes one number.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import NormalDist
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

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
    """A label of the dataset. shares: the frequency of each value; they sum to 1."""

    model_config = ConfigDict(frozen=True)

    name: TraitName
    values: list[str] = Field(min_length=1)
    shares: list[float]

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if len(self.shares) != len(self.values) or len(set(self.values)) < len(self.values):
            raise ValueError("each value must be listed once, with its share")
        return self

    @property
    def available(self) -> list[str]:
        """The values that a request can select: those that at least one image has."""
        return [
            value for value, share in zip(self.values, self.shares, strict=True) if share > RAREST
        ]

    def intervals(self) -> list[tuple[float, float]]:
        """(lower, upper) bound of each value on the real line."""
        edges, total = [-FAR], 0.0
        for share in self.shares[:-1]:
            total += share
            edges.append(_edge(total))
        edges.append(FAR)
        return list(pairwise(edges))

    def sample(self, codes: NDArray[np.int64], uniform: NDArray[np.float64]) -> NDArray[np.float32]:
        """Standard normals that select the values with these codes: (N,) float32.

        uniform: (N,) in [0, 1), the quantile within each value's interval.
        """
        lower, upper = np.array(self.intervals(), np.float32)[codes].T
        total = np.concatenate([[0.0], np.cumsum(self.shares)])
        share = total[codes] + uniform * np.array(self.shares)[codes]
        normals = np.array([_NORMAL.inv_cdf(min(max(p, SMALLEST), 1 - SMALLEST)) for p in share])
        # Rounding may leave the interval slightly; its bounds are compared in float32.
        lowest = np.nextafter(lower, np.float32(FAR))
        return np.clip(normals.astype(np.float32), lowest, upper)

    def value_of(self, element: float) -> str:
        """The value that a latent element selects, compared in float32 as the network does."""
        number = np.float32(element)
        for value, (lower, upper) in zip(self.values, self.intervals(), strict=True):
            if np.float32(lower) < number <= np.float32(upper):
                return value
        raise ValueError(f"{element} lies in no interval")  # not finite, or beyond FAR

    def normal(self, value: str) -> float:
        """The latent element for a value: the median of its interval. Raises ValueError."""
        index = self.values.index(value)
        return _NORMAL.inv_cdf(sum(self.shares[:index]) + self.shares[index] / 2)


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
    labels: Mapping[str, Mapping[str, Sequence[Any]]], names: Sequence[str]
) -> list[Attribute]:
    """Build the attributes `names` from a packed dataset's labels, with their frequencies.

    Raises KeyError for a name that the labels lack.
    """
    attributes = []
    for name in names:
        values, codes = list(labels[name]["values"]), list(labels[name]["codes"])
        shares = [codes.count(code) / len(codes) for code in range(len(values))]
        attributes.append(Attribute(name=name, values=values, shares=shares))
    return attributes
