"""An honest zip of pictures is read in order of its names; an evil one is refused."""

import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from models.datasets.archive import (
    ArchiveError,
    ArchiveReport,
    Limits,
    check,
    members,
    metadata,
)
from models.datasets.exclusions import Exclusion
from models.errors import DatasetError


def picture(colour: str = "red", size: int = 16, format: str = "PNG") -> bytes:
    """Draw a plain picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(buffer, format)
    return buffer.getvalue()


Entries = list[tuple[str | zipfile.ZipInfo, bytes]]


def write_zip(path: Path, entries: Entries, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip of the entries, duplicates included."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore", UserWarning)  # zipfile warns of the duplicates we want
        for name, data in entries:
            archive.writestr(name, data, method)
    return path


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (mode | 0o777) << 16
    return info


def exact(name: str) -> zipfile.ZipInfo:
    """Make an entry whose name zipfile leaves alone."""
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    return info


def test_an_honest_zip_is_counted(tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "a.zip",
        [
            ("faces/", b""),
            ("faces/b.png", picture("blue")),
            ("faces/a.jpg", picture(format="JPEG")),
            ("__MACOSX/faces/._a.jpg", b"litter"),
            (".DS_Store", b"litter"),
            ("Thumbs.db", b"litter"),
            ("readme.txt", b"hello"),
        ],
    )
    size = len(picture("blue")) + len(picture(format="JPEG"))
    hidden = "hidden, thumbnail or trash"
    left_out = [
        Exclusion(".DS_Store", hidden),
        Exclusion("Thumbs.db", hidden),
        Exclusion("__MACOSX/faces/._a.jpg", hidden),
        Exclusion("readme.txt", "no picture by its name"),
    ]
    assert check(path) == ArchiveReport(2, left_out, size)


def test_members_come_in_order_of_their_names(tmp_path: Path) -> None:
    entries: Entries = [(f"{name}.png", picture(name)) for name in ("red", "blue", "green")]
    path = write_zip(tmp_path / "a.zip", entries)
    assert list(members(path)) == sorted(entries)
    only = {"blue.png", "red.png"}
    assert [name for name, _ in members(path, only=only)] == ["blue.png", "red.png"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_both_usual_methods_are_read(tmp_path: Path, method: int) -> None:
    assert check(write_zip(tmp_path / "a.zip", [("a.png", picture())], method)).images == 1


def test_accented_names_are_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("顔/é.png", picture())])
    assert [name for name, _ in members(path)] == ["顔/é.png"]


GOOD: tuple[str, bytes] = ("good.png", picture())
REFUSED: list[Any] = [
    pytest.param([("/etc/a.png", b"x")], "absolute", id="absolute"),
    pytest.param([("C:/a.png", b"x")], "absolute", id="drive"),
    pytest.param([("../a.png", b"x")], "outside", id="parent"),
    pytest.param([("a/../../b.png", b"x")], "outside", id="parent-inside"),
    pytest.param([("..", b"x")], "outside", id="only-parent"),
    pytest.param([(exact("..\\b.png"), b"x")], "outside", id="backslash-parent"),
    pytest.param([("a/b.png", b"x"), (exact("a\\b.png"), b"y")], "twice", id="backslash-twice"),
    pytest.param([("a\x07.png", b"x")], "control character", id="bell"),
    pytest.param([(special("a.png", stat.S_IFLNK), b"/etc/passwd")], "link", id="symlink"),
    pytest.param([(special("a.png", stat.S_IFIFO), b"")], "device", id="pipe"),
    pytest.param([(special("a.png", stat.S_IFCHR), b"")], "device", id="device"),
    pytest.param([("a.png", b"x"), ("a.png", b"y")], "twice", id="duplicate"),
    pytest.param([("\u00e9.png", b"x"), ("e\u0301.png", b"y")], "twice", id="duplicate-by-form"),
    pytest.param([("more.zip", b"x")], "inside the archive", id="nested-zip"),
    pytest.param([("more.tar.GZ", b"x")], "inside the archive", id="nested-tar"),
]


@pytest.mark.parametrize(("entries", "reason"), REFUSED)
def test_an_evil_entry_is_refused(tmp_path: Path, entries: Entries, reason: str) -> None:
    path = write_zip(tmp_path / "a.zip", [GOOD, *entries])
    with pytest.raises(ArchiveError, match=reason) as error:
        check(path)
    assert str(error.value).endswith(".")
    assert isinstance(error.value, DatasetError)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        pytest.param(Limits(entries=2), "entries", id="entries"),
        pytest.param(Limits(file_bytes=50), "bytes; save it smaller", id="file-bytes"),
        pytest.param(Limits(total_bytes=100), "holds more than", id="total-bytes"),
    ],
)
def test_each_limit_holds(tmp_path: Path, limits: Limits, reason: str) -> None:
    path = write_zip(tmp_path / "a.zip", [(f"{n}.png", picture()) for n in range(3)])
    assert check(path).images == 3
    with pytest.raises(ArchiveError, match=reason):
        check(path, limits)


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [GOOD, ("bomb.bmp", bytes(8 << 20))])
    with pytest.raises(ArchiveError, match="zip bomb"):
        check(path)
    with pytest.raises(ArchiveError, match="zip bomb"):
        list(members(path))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", ["metadata.csv", "faces/metadata.jsonl", "dataset.json"])
def test_labels_by_a_method_without_a_bound_are_not_decompressed(
    tmp_path: Path, name: str, method: int
) -> None:
    """zipfile decompresses a whole block of bzip2 or LZMA at once: kilobytes may give gigabytes."""
    path = write_zip(tmp_path / "a.zip", [GOOD, ("other.png", picture("blue"))])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, bytes(1 << 20), method)
    report = check(path, decode=True)
    (exclusion,) = report.left_out
    assert (exclusion.name, exclusion.reason[:12]) == (name, "compression ")
    assert metadata(path) == {}
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore", UserWarning)
        archive.writestr(name, b"{}", zipfile.ZIP_STORED)
    assert [read() for read in metadata(path).values()] == [b"{}"]


def test_a_small_flat_picture_is_no_bomb(tmp_path: Path) -> None:
    flat = picture(size=500, format="BMP")
    path = write_zip(tmp_path / "a.zip", [("flat.bmp", flat)])
    assert len(flat) > 200 * zipfile.ZipFile(path).infolist()[0].compress_size
    assert check(path).images == 1


def test_a_header_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [("bomb.bmp", bytes(8 << 20))])
    data = bytearray(path.read_bytes())
    for at in (22, data.find(b"PK\x01\x02") + 24):  # the local and the central record
        data[at : at + 4] = struct.pack("<I", 100)
    path.write_bytes(data)
    with pytest.raises(ArchiveError):
        check(path)


def encrypt(data: bytearray) -> None:
    for at in (6, data.find(b"PK\x01\x02") + 8):
        data[at] |= 1


def unusual(data: bytearray) -> None:
    for at in (8, data.find(b"PK\x01\x02") + 10):
        data[at : at + 2] = struct.pack("<H", 9)  # Deflate64


def damage(data: bytearray) -> None:
    data[60] ^= 0xFF


def cut(data: bytearray) -> None:
    del data[len(data) // 2 :]


def clear(data: bytearray) -> None:
    data.clear()


def replace(data: bytearray) -> None:
    data[:] = picture()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(encrypt, "encrypted", id="encrypted"),
        pytest.param(unusual, "compression", id="deflate64"),
        pytest.param(damage, "not a whole zip", id="damaged"),
        pytest.param(cut, "not a whole zip", id="cut-short"),
        pytest.param(clear, "not a whole zip", id="empty-file"),
        pytest.param(replace, "not a whole zip", id="a-picture"),
    ],
)
def test_a_spoilt_file_is_refused(
    tmp_path: Path, spoil: Callable[[bytearray], None], reason: str
) -> None:
    path = write_zip(tmp_path / "a.zip", [("a.png", picture(size=64))])
    data = bytearray(path.read_bytes())
    spoil(data)
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match=reason):
        check(path)


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([], id="empty"),
        pytest.param([("a.txt", b"x"), ("b/", b"")], id="text-only"),
        pytest.param([("__MACOSX/a.png", b"x")], id="litter-only"),
    ],
)
def test_a_zip_without_pictures_says_what_to_do(tmp_path: Path, entries: Entries) -> None:
    with pytest.raises(ArchiveError, match=r"no pictures; put PNG, JPEG"):
        check(write_zip(tmp_path / "a.zip", entries))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("Screenshot 2026-11-26 at 9.41.00\u202fAM.png", id="macOS, supabase#26022"),
        pytest.param("全角\u3000空白.png", id="full-width space"),
        pytest.param("👩\u200d🎨.png", id="emoji with a joiner, eight04/image-picka#175"),
        pytest.param("\u200fעברית.png", id="mark of direction"),
        pytest.param(exact("faces\\a.png"), id="Compress-Archive, PowerShell#2140"),
        pytest.param(exact("\u00f2\\.png"), id="cp932 read as cp437, rubyzip#308"),
    ],
)
def test_everyday_names_are_read(tmp_path: Path, name: Any) -> None:
    path = write_zip(tmp_path / "a.zip", [GOOD, (name, picture("blue"))])
    assert check(path, decode=True).images == 2
    assert len(list(members(path))) == 2


def test_one_broken_picture_refuses_no_other_unless_strict(tmp_path: Path) -> None:
    entries: Entries = [GOOD, ("b.png", picture()), ("page.jpg", b"<html>"), ("photo.jxl", b"x")]
    path = write_zip(tmp_path / "a.zip", entries)
    report = check(path, decode=True)
    assert report.images == 2
    assert report.flatness is not None, "of what can be read"
    assert [name for name, _ in report.left_out] == ["photo.jxl", "page.jpg"]
    assert report.left_out[0][1] == "JXL is not read"
    with pytest.raises(ArchiveError, match=r"page\.jpg"):
        check(path, decode=True, strict=True)


def test_one_usable_picture_is_too_few_and_says_why(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", [GOOD, ("page.jpg", b"<html>")])
    with pytest.raises(ArchiveError, match=r"1 usable of 2 pictures \('page.jpg': a page of"):
        check(path, decode=True)
