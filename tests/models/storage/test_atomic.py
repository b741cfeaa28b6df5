"""A file that is written whole, and what is said where it cannot be."""

import errno
import os
from pathlib import Path

import pytest

from models.storage import atomic


def test_the_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    with atomic.whole_file(tmp_path / "a" / "b.zip") as temporary:
        temporary.write_bytes(b"content")
        assert not (tmp_path / "a" / "b.zip").exists()
    assert (tmp_path / "a" / "b.zip").read_bytes() == b"content"
    assert os.listdir(tmp_path / "a") == ["b.zip"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disks_error_names_the_file(tmp_path: Path, code: int) -> None:
    def write() -> None:
        with atomic.whole_file(tmp_path / "b.zip") as temporary:
            temporary.write_bytes(b"part")
            raise OSError(code, os.strerror(code))

    with pytest.raises(OSError, match=r"b\.zip") as error_info:
        write()
    assert (error_info.value.errno, error_info.value.filename) == (code, str(tmp_path / "b.zip"))
    assert os.listdir(tmp_path) == []


def test_another_files_error_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error_info, atomic.whole_file(tmp_path / "b.zip"):
        (tmp_path / "other").read_bytes()
    assert error_info.value.filename == str(tmp_path / "other")


def test_a_folder_or_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, error in (("pipe", FileExistsError), ("folder", IsADirectoryError)):
        with pytest.raises(error, match=name), atomic.whole_file(tmp_path / name):
            pass
    assert (tmp_path / "pipe").is_fifo()
