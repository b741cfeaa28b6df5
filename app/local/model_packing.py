"""A bundle's files as browsers load them: the same bytes, packed so that they compress well.

A packed file is a header and a payload:

    4 bytes             length of the header, little-endian
    header              JSON: {"bytes": of the original, "tensors": [{"at", "count", "scales",
                        "inner"}, …]} in the order of `at`, an offset in the original
    the rest            the original's bytes that belong to none of the tensors
    each tensor         on a grid (models/bundle/weight_grid.py): `scales` float32, then `count`
                        int8; number i has scale ⌊i / inner⌋ mod scales.
                        Else `scales` is 0: the four bytes of all numbers, the lowest first

Unpacking gives the original, whose SHA-256 the manifest states.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from models.bundle import weight_grid
from models.bundle.format import GRAPH_SUFFIX

FLOAT = 1  # of ONNX's types


@dataclass(frozen=True)
class Place:
    """Where a tensor's float32 numbers lie in a file: an offset in bytes, and their shape."""

    at: int
    shape: tuple[int, ...]

    @property
    def end(self) -> int:
        """The offset behind them."""
        return self.at + 4 * prod(self.shape)


def pack(name: str, content: bytes) -> bytes:
    """Pack a graph or a safetensors file. Raises ValueError for one that is damaged."""
    places = _places_of_graph(content) if name.endswith(GRAPH_SUFFIX) else _places(content)
    rows, payload, gaps, end = [], [], [], 0
    for place in sorted(places, key=lambda each: each.at):
        row, numbers = _pack_tensor(place, content[place.at : place.end])
        rows.append(row)
        payload.append(numbers)
        gaps.append(content[end : place.at])
        end = place.end
    gaps.append(content[end:])
    header = json.dumps({"bytes": len(content), "tensors": rows}, separators=(",", ":")).encode()
    return b"".join([len(header).to_bytes(4, "little"), header, *gaps, *payload])


def _pack_tensor(place: Place, content: bytes) -> tuple[dict[str, int], bytes]:
    numbers = np.frombuffer(content, "<f4").reshape(place.shape)
    row = {"at": place.at, "count": numbers.size, "scales": 0, "inner": 1}
    grid = weight_grid.find(numbers)
    if grid is None:
        return row, np.frombuffer(content, np.uint8).reshape(-1, 4).T.tobytes()
    row |= {"scales": grid.scales.size, "inner": prod(place.shape[grid.axis + 1 :])}
    return row, grid.scales.tobytes() + grid.whole.tobytes()


def _places(content: bytes) -> Iterator[Place]:
    """The float32 tensors of a safetensors file (its format's README)."""
    start = 8 + int.from_bytes(content[:8], "little")
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            yield Place(start + entry["data_offsets"][0], tuple(entry["shape"]))


def _places_of_graph(content: bytes) -> Iterator[Place]:
    """The float32 weights within an ONNX graph (fields as in onnx.proto)."""
    for graph, start, end in _fields(content, 0, len(content)):
        if graph == 7:
            for field, first, last in _fields(content, start, end):
                if field == 5:
                    yield from _place_of_tensor(content, first, last)


def _place_of_tensor(content: bytes, start: int, end: int) -> Iterator[Place]:
    shape: list[int] = []
    kind, raw = 0, None
    for field, first, last in _fields(content, start, end):
        if field == 1:
            shape += _integers(content, first, last)
        elif field == 2:
            (kind,) = _integers(content, first, last)
        elif field == 9:
            raw = Place(first, ((last - first) // 4,))
    if kind == FLOAT and raw is not None and raw.shape[0] == prod(shape):
        yield Place(raw.at, tuple(shape))


def _fields(content: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, start, end) of each field's value in a protobuf message."""
    while start < end:
        key, start = _varint(content, start)
        first = start
        match key & 7:
            case 0:
                _, start = _varint(content, start)
            case 1:
                start += 8
            case 2:
                length, first = _varint(content, start)
                start = first + length
            case 5:
                start += 4
            case _:
                raise ValueError("This is no ONNX graph.")
        if start > end:
            raise ValueError("An ONNX graph is cut off.")
        yield key >> 3, first, start


def _varint(content: bytes, start: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if start >= len(content) or shift > 63:
            raise ValueError("An ONNX graph is cut off.")
        byte = content[start]
        value, shift, start = value | (byte & 127) << shift, shift + 7, start + 1
        if byte < 128:
            return value, start


def _integers(content: bytes, start: int, end: int) -> Sequence[int]:
    """One whole number, or several that are packed."""
    numbers = []
    while start < end:
        number, start = _varint(content, start)
        numbers.append(number)
    return numbers
