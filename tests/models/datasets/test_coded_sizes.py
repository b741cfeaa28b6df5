"""A picture that is coded larger than its header says is refused before it is decoded."""

import io
import resource
import struct
from pathlib import Path

import pytest
from PIL import Image

from models.datasets import avif
from models.datasets.images import BrokenImage, check_header, read_square, size_of

HOSTILE = Path(__file__).parents[2] / "fixtures" / "hostile"
MOST_MEMORY = 64 << 20  # bytes; what both of them promise to decode takes hundreds of megabytes


def encode(width: int, height: int, **options: object) -> bytes:
    """An AVIF of one colour."""
    target = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(target, "AVIF", speed=10, **options)
    return target.getvalue()


def peak() -> int:
    """The largest memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        # Its `ispe` says 64 by 64 and its HEVC parameters 16,384 by 16,384.
        pytest.param("coded-16384-px.heic", "exceeds the maximum image size", id="heic"),
        # Its `ispe` says 16 by 16 and its AV1 sequence header 9,000 by 9,000.
        pytest.param("coded-9000-px.avif", "coded as more than 16,000,000 pixels", id="avif"),
    ],
)
def test_a_small_header_of_a_large_picture_is_refused(name: str, reason: str) -> None:
    data = (HOSTILE / name).read_bytes()
    before = peak()
    for source in (data, HOSTILE / name, io.BytesIO(data)):
        with pytest.raises(BrokenImage, match=reason):
            read_square(source, 16)
    assert peak() - before < MOST_MEMORY


def test_an_upload_refuses_it_by_its_header() -> None:
    data = (HOSTILE / "coded-9000-px.avif").read_bytes()
    with pytest.raises(BrokenImage, match="coded as more"):
        check_header(data)


@pytest.mark.parametrize(
    ("width", "height"), [(16, 16), (1, 1), (24, 20), (257, 129), (300, 1_000), (2_000, 30)]
)
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_the_coded_size_is_read(width: int, height: int, subsampling: str) -> None:
    assert avif.coded_pixels(encode(width, height, subsampling=subsampling)) == width * height


def test_a_transparent_and_an_animated_one_are_read() -> None:
    clear = io.BytesIO()
    Image.new("RGBA", (40, 30), (255, 0, 0, 90)).save(clear, "AVIF", speed=10)
    assert avif.coded_pixels(clear.getvalue()) == 40 * 30
    moving = io.BytesIO()
    frames = [Image.new("RGB", (48, 32), colour) for colour in ("red", "green", "blue")]
    frames[0].save(moving, "AVIF", save_all=True, append_images=frames[1:], speed=10)
    assert avif.coded_pixels(moving.getvalue()) == 48 * 32
    assert size_of(moving.getvalue()) == (48, 32)
    assert read_square(moving.getvalue(), 16).shape == (16, 16, 3)


NOTHING = [b"", b"\0" * 64, b"\0\0\0\1ftyp", struct.pack(">I4s", 8, b"iloc")]


@pytest.mark.parametrize("data", NOTHING)
def test_what_is_no_avif_has_no_coded_size(data: bytes) -> None:
    assert avif.coded_pixels(data) == 0


def test_items_that_all_are_the_whole_file_are_refused() -> None:
    # Neither offsets nor lengths have bytes, so that each of 60,000 parts is the whole file.
    iloc = struct.pack(">IHHHHH", 0, 0, 1, 1, 0, 60_000)
    with pytest.raises(ValueError, match="overlap"):
        avif.coded_pixels(struct.pack(">I4s", 8 + len(iloc), b"iloc") + iloc)


def test_a_sequence_header_behind_ten_thousand_others_is_refused() -> None:
    iloc = struct.pack(">IHHHHHII", 0, 0x4400, 1, 1, 0, 1, 30, 0)
    file = struct.pack(">I4s", 8 + len(iloc), b"iloc") + iloc
    with pytest.raises(ValueError, match="parts"):
        avif.coded_pixels(file + b"\x12\0" * 20_000)
