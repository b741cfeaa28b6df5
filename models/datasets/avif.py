"""The size at which an AVIF is coded, read from its AV1 sequence headers without decoding.

libavif believes the size in the file's `ispe` box until it has decoded the picture: two kilobytes
that promise 16 by 16 pixels made it decode 81 megapixels. Boxes: ISO/IEC 14496-12 and 23008-12;
sequence header: AV1 bitstream specification 5.5.1.
"""

import itertools
import struct
from collections.abc import Iterator

CONTAINERS = {b"meta": 4, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0}
SEQUENCE_HEADER = 1  # obu_type
MOST_OBUS = 10_000  # of an item; a picture has three or so
MOST_BYTES = 4  # times the file's, of all items together: honest ones do not overlap
Box = tuple[bytes, int, int]  # type, start and end of the content


def coded_pixels(data: bytes) -> int:
    """The most pixels of any picture in the file; 0 where no sequence header is found.

    Raises ValueError where items overlap or have so many parts that reading them takes long.
    """
    boxes = list(_boxes(data, 0, len(data)))
    idat = next((data[start:end] for name, start, end in boxes if name == b"idat"), b"")
    most = 0
    for name, start, end in boxes:
        try:
            if name == b"iloc":
                streams = list(_items(data[start:end], data, idat))
            elif name in (b"stco", b"co64"):
                streams = [data[_first_chunk(data[start:end], wide=name == b"co64") :]]
            else:
                continue
        except struct.error:  # cut short
            continue
        most = max([most, *map(_pixels, streams)])
    return most


def _boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """The boxes of a file, and those within its containers."""
    while start + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, start)
        content = start + 8
        if size == 1 and start + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            content = start + 16
        stop = end if size == 0 else min(start + size, end)
        if stop < content:
            return
        yield name, content, stop
        if name in CONTAINERS:
            yield from _boxes(data, content + CONTAINERS[name], stop)
        start = stop


def _items(iloc: bytes, data: bytes, idat: bytes) -> Iterator[bytes]:
    """The content of each item that an `iloc` box lists. Raises struct.error where it is short."""
    version = iloc[0] if iloc else 0
    reader = _Reader(iloc, 4)
    sizes = reader.number(2)
    offset, length, base, index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    total = 0
    for _ in range(reader.number(2 if version < 2 else 4)):
        reader.number(2 if version < 2 else 4)  # the item's id
        method = reader.number(2) & 15 if version else 0
        reader.number(2)  # data_reference_index
        start = reader.number(base)
        content = b""
        for _ in range(reader.number(2)):
            if version:
                reader.number(index)
            place, count = start + reader.number(offset), reader.number(length)
            source = idat if method == 1 else data
            part = source[place : place + count if count else None]
            total += len(part) + 1
            if total > MOST_BYTES * (len(data) + 1):
                raise ValueError("its items overlap")
            content += part
        yield content


def _first_chunk(content: bytes, *, wide: bool) -> int:
    """Where a track's first sample lies."""
    place: int = struct.unpack_from(">Q" if wide else ">I", content, 8)[0]
    return place


class _Reader:
    """Big-endian numbers of any whole number of bytes, one after another."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place

    def number(self, size: int) -> int:
        """The next number of `size` bytes. Raises struct.error at the end."""
        if self._place + size > len(self._data):
            raise struct.error
        self._place += size
        return int.from_bytes(self._data[self._place - size : self._place])


def _pixels(stream: bytes) -> int:
    """The largest picture of the sequence headers in a stream of OBUs (AV1 5.3)."""
    most, place = 0, 0
    for count in itertools.count():
        if place >= len(stream):
            break
        if count == MOST_OBUS:
            raise ValueError(f"more than {MOST_OBUS:,} parts in a picture")
        header = stream[place]
        place += 2 if header & 4 else 1  # an extension
        size = len(stream) - place
        if header & 2:
            size, place = _leb128(stream, place)
        if header >> 3 & 15 == SEQUENCE_HEADER:
            most = max(most, _sequence_pixels(stream[place : place + min(size, 64)]))
        place += size
    return most


def _leb128(data: bytes, place: int) -> tuple[int, int]:
    """A number of up to 8 bytes, and where the next one begins (AV1 4.10.5)."""
    value = 0
    for count, byte in enumerate(data[place : place + 8]):
        value |= (byte & 127) << 7 * count
        if not byte & 128:
            return value, place + count + 1
    return value, place + 8


def _sequence_pixels(header: bytes) -> int:
    """max_frame_width times max_frame_height of a sequence header; a header cut short reads 0s."""
    bits = _Bits(header)
    bits.read(4)  # seq_profile, still_picture
    if bits.read(1):  # reduced_still_picture_header
        bits.read(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    return (bits.read(width_bits) + 1) * (bits.read(height_bits) + 1)


def _skip_operating_points(bits: "_Bits") -> None:
    delay_bits = 0
    if bits.read(1):  # timing_info_present_flag
        bits.read(64)
        if bits.read(1):  # equal_picture_interval
            zeros = 0
            while zeros < 32 and not bits.read(1):
                zeros += 1
            bits.read(zeros)
        if bits.read(1):  # decoder_model_info_present_flag
            delay_bits = bits.read(5) + 1
            bits.read(42)
    has_display_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read(1)
        if delay_bits and bits.read(1):
            bits.read(2 * delay_bits + 1)
        if has_display_delay and bits.read(1):
            bits.read(4)


class _Bits:
    """Numbers of any number of bits, the most significant first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._bits_left = int.from_bytes(data), 8 * len(data)

    def read(self, count: int) -> int:
        """The next `count` bits; 0 beyond the end."""
        self._bits_left -= count
        if self._bits_left < 0:
            return 0
        return self._value >> self._bits_left & ((1 << count) - 1)
