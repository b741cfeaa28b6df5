"""What a conditional generator is told: one value of each attribute, as one more latent each.

Attribute a of a face is chosen by the latent's number `latent + a`, a standard normal like all
others: the line of normals is cut into one piece a value, as wide as that value is frequent. So a
seed alone gives every attribute, and asking for a value moves one number.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import NormalDist
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_NORMAL = NormalDist()
# Beyond any normal that a seed gives (docs/seeds.md: 52 bits reach 8.2), and finite, since a
# bundle's numbers must be.
FAR = 100.0
SMALLEST = 1e-15  # of a probability: its normal is finite
RAREST = 1e-9  # a share below is rounding: no image has the value
# What addresses of pictures say already, and what they may come to say: no trait is called so.
_WORDS = (
    "age at backdrop best_of child children coarse columns count d default distinct dpr ease "
    "expires f fine forcedefault format fps frames from gap height key loop model parents psi "
    "quality r "
    "rating s seed seeds shape signature size start stops t to trait traits variant version w "
    "weights width z"
)
RESERVED = frozenset(_WORDS.split())


def _fit(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name!r} is a parameter of pictures; call the attribute something else")
    return name


# As it stands in an address: ?hair_colour=pink
TraitName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64), AfterValidator(_fit)]


class Attribute(BaseModel):
    """A label of the dataset. shares: how frequent each value is; they sum to 1."""

    model_config = ConfigDict(frozen=True)

    name: TraitName
    values: list[str] = Field(min_length=1)
    shares: list[float]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if len(self.shares) != len(self.values) or len(set(self.values)) < len(self.values):
            raise ValueError("each value stands once, with its share")
        return self

    @property
    def offered(self) -> list[str]:
        """The values that can be asked for: those that some image has."""
        return [
            value for value, share in zip(self.values, self.shares, strict=True) if share > RAREST
        ]

    def pieces(self) -> list[tuple[float, float]]:
        """(above, up to) of each value on the line of normals."""
        edges, total = [-FAR], 0.0
        for share in self.shares[:-1]:
            total += share
            edges.append(_edge(total))
        edges.append(FAR)
        return list(pairwise(edges))

    def sample(self, codes: NDArray[np.int64], uniform: NDArray[np.float64]) -> NDArray[np.float32]:
        """Standard normals that choose the values with these codes: (N,) float32.

        uniform: (N,) in [0, 1), the place within each value's piece of the line.
        """
        above, up_to = np.array(self.pieces(), np.float32)[codes].T
        total = np.concatenate([[0.0], np.cumsum(self.shares)])
        share = total[codes] + uniform * np.array(self.shares)[codes]
        normals = np.array([_NORMAL.inv_cdf(min(max(p, SMALLEST), 1 - SMALLEST)) for p in share])
        # Rounding may leave the piece by a hair; what is compared with are float32 edges.
        lowest = np.nextafter(above, np.float32(FAR))
        return np.clip(normals.astype(np.float32), lowest, up_to)

    def normal(self, value: str) -> float:
        """The latent that stands for a value: the middle of its share. Raises ValueError."""
        place = self.values.index(value)
        return _NORMAL.inv_cdf(sum(self.shares[:place]) + self.shares[place] / 2)


def _edge(share: float) -> float:
    # A value that no image has gets no piece of the line, whatever rounding left of its share.
    if not RAREST < share < 1 - RAREST:
        return -FAR if share < 0.5 else FAR
    return _NORMAL.inv_cdf(share)


def ask(
    z: NDArray[np.float32], attributes: Sequence[Attribute], wanted: Mapping[str, Any]
) -> NDArray[np.float32]:
    """z (N, latent) with the values that are wanted, and all else as it was.

    Names in `wanted` that are no attribute's are passed over. Raises ValueError for a value that
    is not `offered`.
    """
    asked, first = z.copy(), z.shape[1] - len(attributes)
    for place, attribute in enumerate(attributes, first):
        if attribute.name in wanted:
            asked[:, place] = attribute.normal(wanted[attribute.name])
    return asked


def chosen(
    labels: Mapping[str, Mapping[str, Sequence[Any]]], names: Sequence[str]
) -> list[Attribute]:
    """These attributes of a packed set's labels, with their frequencies.

    Raises KeyError for a name that the labels lack.
    """
    found = []
    for name in names:
        values, codes = list(labels[name]["values"]), list(labels[name]["codes"])
        shares = [codes.count(code) / len(codes) for code in range(len(values))]
        found.append(Attribute(name=name, values=values, shares=shares))
    return found
