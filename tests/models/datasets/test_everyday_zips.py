"""Zips as six programs write them: all pictures are counted, and labels find their pictures."""

import gzip
import io
import random
import re
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from models.datasets import archive, labels
from models.datasets.images import BrokenImage
from models.datasets.picture_names import PictureNames

UNIX, DOS = 3, 0
FOLDERS = "caf\u00e9", "b\u00e4r"
NTFS_TIMES = b"\x0a\0\x20\0" + bytes(4) + b"\x01\0\x18\0" + bytes(24)
UNIX_TIMES = b"UT\x05\0\x03" + bytes(4)


@dataclass(frozen=True)
class Program:
    """How a program writes an entry.

    encoding: of the names. flagged: with the flag of UTF-8. streamed: sizes follow the data.
    """

    encoding: str = "utf-8"
    flagged: bool = False
    system: int = UNIX
    separator: str = "/"
    extra: bytes = b""
    folders: bool = False
    streamed: bool = False
    method: int = zipfile.ZIP_DEFLATED
    form: Any = "NFC"
    litter: tuple[str, ...] = ()


class Entry(zipfile.ZipInfo):
    """An entry whose name is written in a program's encoding."""

    program = Program()

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        flag = archive.UTF_8 if self.program.flagged else 0
        return self.filename.encode(self.program.encoding), self.flag_bits & ~archive.UTF_8 | flag


class Pipe(io.RawIOBase):
    """A stream that cannot seek, so that zipfile writes data descriptors."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.content += data
        return len(data)


def write(path: Path, program: Program, files: dict[str, bytes]) -> None:
    """Write a zip as the program does."""
    stream = Pipe() if program.streamed else io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        if program.folders:
            for folder in sorted({name.rpartition("/")[0] for name in files} - {""}):
                target.writestr(_entry(f"{folder}/", program), b"")
        for name, data in {**files, **dict.fromkeys(program.litter, b"x")}.items():
            target.writestr(_entry(name, program), data, program.method)
    path.write_bytes(stream.content if isinstance(stream, Pipe) else stream.getvalue())


def _entry(name: str, program: Program) -> Entry:
    entry = Entry("x")
    entry.program = program
    name = unicodedata.normalize(program.form, name).replace("/", program.separator)
    entry.filename = entry.orig_filename = name
    entry.create_system, entry.extra = program.system, program.extra
    entry.external_attr = 0o100644 << 16 if program.system == UNIX else 0x20
    return entry


FINDER = Program(form="NFD", streamed=True, folders=True, extra=UNIX_TIMES,
                 litter=("__MACOSX/caf\u00e9/._0.png", "caf\u00e9/.DS_Store"))  # fmt: skip
PROGRAMS = [
    ("Info-ZIP on Linux", Program(flagged=True, folders=True, extra=UNIX_TIMES)),
    ("Finder, apple/turicreate#644", FINDER),
    ("Explorer in the West, splitbrain/php-archive#14", Program("cp850", system=DOS)),
    ("PowerShell 5, PowerShell/PowerShell#2140",
     Program(flagged=True, system=DOS, separator="\\")),
    ("7-Zip, EasyRPG/Player#2562", Program("cp437", system=DOS, extra=NTFS_TIMES)),
    ("a page with client-zip, Stuk/jszip#845",
     Program(flagged=True, streamed=True, method=zipfile.ZIP_STORED)),
    ("Firefox Send, mozilla/send#1432", Program(streamed=True)),
]  # fmt: skip


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """Eight pictures in two folders, whose names have accents, and labels for them."""
    files, rows = {}, ["file_name,hat"]
    for number in range(8):
        picture = io.BytesIO()
        Image.new("RGB", (16, 16), (30 * number, 0, 0)).save(picture, "PNG")
        name = f"{FOLDERS[number % 2]}/{number}.png"
        files[name] = picture.getvalue()
        rows.append(f"{name},{('cap', 'crown')[number // 4]}")
    return {**files, "metadata.csv": "\n".join(rows).encode()}


def test_names_that_begin_at_the_same_folder_are_read(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive_file:
        for name, data in files.items():  # as bsdtar -a -cf a.zip . writes them
            archive_file.writestr(f"./{name}", data)
    assert archive.check(path, decode=True).images == 8
    table = labels.read(archive.listing(path).pictures, archive.metadata(path))
    assert table.counts() == {"hat": {"cap": 4, "crown": 4}}


def test_of_two_tables_with_one_name_the_last_counts(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    path = tmp_path / "a.zip"
    write(path, Program(flagged=True), files)
    with zipfile.ZipFile(path, "a") as archive_file, pytest.warns(UserWarning, match="Duplicate"):
        archive_file.writestr("metadata.csv", files["metadata.csv"].replace(b"crown", b"tiara"))
    table = labels.read(archive.listing(path).pictures, archive.metadata(path))
    assert table.counts() == {"hat": {"cap": 4, "tiara": 4}}


def test_too_many_bytes_of_labels_leave_the_pictures(
    tmp_path: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "LABEL_BYTES", 2 * len(files["metadata.csv"]) - 1)
    path = tmp_path / "a.zip"
    write(path, Program(flagged=True), {**files, "more/metadata.csv": files["metadata.csv"]})
    report = archive.check(path, decode=True)
    assert report.images == 8
    ((name, reason),) = report.left_out
    assert name == "more/metadata.csv"
    assert "more than" in reason


@pytest.mark.parametrize("program", [pytest.param(row[1], id=row[0]) for row in PROGRAMS])
def test_what_programs_write_is_read_whole(
    tmp_path: Path, files: dict[str, bytes], program: Program
) -> None:
    path = tmp_path / "a.zip"
    write(path, program, files)
    report = archive.check(path, decode=True)
    assert report.images == 8
    assert len(report.left_out) == len(program.litter)
    names = archive.listing(path).pictures
    table = labels.read(names, archive.metadata(path))
    assert table.counts() == {"hat": {"cap": 4, "crown": 4}}
    write(path, program, {name: data for name, data in files.items() if name != "metadata.csv"})
    counts = labels.read(archive.listing(path).pictures, {}).counts()["class"]
    folders = {unicodedata.normalize("NFC", name): count for name, count in counts.items()}
    assert folders == dict.fromkeys(FOLDERS, 4)


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        pytest.param("\u8868\u60c5", "cp932", id="rubyzip/rubyzip#308"),
        pytest.param("\u8774\u8776\u4ee3\u7801", "gbk", id="ib/xarchiver#224"),
        pytest.param("\u0413\u0418\u0421 \u0416\u041a\u0425", "cp866",
                     id="mate-desktop/engrampa#102"),
        pytest.param("\u529f\u80fd", "big5", id="libarchive/libarchive#2798"),
        pytest.param("\ud55c\uae00", "euc-kr", id="Korean"),
        pytest.param("\u05e2\u05d1\u05e8\u05d9\u05ea", "cp862", id="Hebrew"),
    ],
)  # fmt: skip
def test_names_in_a_countrys_encoding_are_accepted(
    tmp_path: Path, files: dict[str, bytes], name: str, encoding: str
) -> None:
    pictures = [data for path, data in files.items() if path.endswith(".png")]
    renamed_files = {f"{name}{number}.png": data for number, data in enumerate(pictures)}
    write(tmp_path / "a.zip", Program(encoding, system=DOS), renamed_files)
    assert archive.check(tmp_path / "a.zip", decode=True).images == 8


def _damaged(data: bytes) -> bytes:
    """A zip with the checksum of its last entry changed, as a bad disk or download leaves it."""
    content = bytearray(data)
    for mark, place in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        content[content.rfind(mark) + place] ^= 0xFF
    return bytes(content)


def _encrypted(data: bytes) -> bytes:
    content = bytearray(data)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.rfind(mark) + place] |= 1
    return bytes(content)


def _deflate64(data: bytes) -> bytes:
    """As Windows compresses a file of two gigabytes and 7-Zip whatever it is asked to."""
    content = bytearray(data)
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        content[content.rfind(mark) + place] = 9
    return bytes(content)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(_damaged, "damaged in the archive", id="a bad checksum"),
        pytest.param(_encrypted, "encrypted", id="a password"),
        pytest.param(_deflate64, "compression", id="Deflate64"),
    ],
)
def test_one_entry_that_cannot_be_read_refuses_no_other(
    tmp_path: Path, files: dict[str, bytes], spoil: Callable[[bytes], bytes], reason: str
) -> None:
    path = tmp_path / "a.zip"
    pictures = {name: data for name, data in files.items() if name.endswith(".png")}
    write(path, Program(flagged=True), pictures)
    path.write_bytes(spoil(path.read_bytes()))
    report = archive.check(path, decode=True)
    assert report.images == 7
    assert [(name, reason in why) for name, why in report.left_out] == [(list(pictures)[-1], True)]
    contents = dict(archive.members(path))
    assert sum(isinstance(data, bytes) for data in contents.values()) == 7
    if (last := list(pictures)[-1]) in contents:
        with pytest.raises(BrokenImage, match=re.escape(reason)):
            archive.content_of(contents[last])
    else:
        assert reason in ("encrypted", "compression")


def test_a_picture_that_is_too_large_refuses_no_other(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    noise = random.Random(0).randbytes(3_000)
    write(tmp_path / "a.zip", Program(flagged=True), {**files, "large.bmp": noise})
    report = archive.check(tmp_path / "a.zip", archive.Limits(file_bytes=2_000), decode=True)
    assert (report.images, report.left_out) == (8, [("large.bmp", "more than 2,000 bytes")])


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param({"Icon\r": b""}, id="a folder's own icon, macOS"),
        pytest.param({"b\u00e4r/": b"", "B\u00c4R/": b""}, id="a folder twice"),
        pytest.param({"read.me": b"x", "READ.ME": b"y"}, id="texts that differ in capitals"),
        pytest.param({"stra\u00dfe.txt": b"", "__MACOSX/old.zip": b"PK"}, id="litter"),
        pytest.param({"A: front.txt": b"x"}, id="a colon, which macOS allows"),
        pytest.param({"": b""}, id="an entry without a name"),
    ],
)
def test_what_is_never_read_refuses_nothing(
    tmp_path: Path, files: dict[str, bytes], extra: dict[str, bytes]
) -> None:
    write(tmp_path / "a.zip", Program(flagged=True), {**files, **extra})
    assert archive.check(tmp_path / "a.zip", decode=True).images == 8


def test_names_that_only_look_alike_are_two_pictures(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    one, two, *_ = files.values()
    names = {"stra\u00dfe.png": one, "strasse.png": two, "\ufb01.png": one, "fi.png": two}
    ids = {"x/dQw4.png": one, "x/dqW4.png": two, "X/dQw4.png": one}
    write(tmp_path / "a.zip", Program(flagged=True), {**names, **ids})
    assert archive.check(tmp_path / "a.zip", decode=True).images == 7
    assert PictureNames([*ids]).find([*ids]) == {name: name for name in ids}


@pytest.mark.parametrize("mark", [b"PK\x07\x08", b"PK00"])
def test_the_mark_of_a_split_archive_is_read_past(
    tmp_path: Path, files: dict[str, bytes], mark: bytes
) -> None:
    write(tmp_path / "a.zip", Program(flagged=True), files)
    (tmp_path / "a.zip").write_bytes(mark + (tmp_path / "a.zip").read_bytes())
    assert archive.check(tmp_path / "a.zip", decode=True).images == 8


def test_another_kind_of_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(gzip.compress(bytes(9)))
    with pytest.raises(archive.ArchiveError, match="but like gzip"):
        archive.check(tmp_path / "a.zip")


def test_labels_that_cannot_be_read_are_left_out_and_named(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    write(tmp_path / "a.zip", Program(flagged=True), {**files, "metadata.csv": b"a,b\nx,y"})
    report = archive.check(tmp_path / "a.zip", decode=True)
    assert report.images == 8
    assert report.left_out[0][0] == "metadata.csv"
    assert "labels that cannot be read" in report.left_out[0][1]
