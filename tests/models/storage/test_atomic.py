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


def test_a_folder_is_hidden_beside_an_earlier_one_whose_removal_was_interrupted(
    tmp_path: Path,
) -> None:
    for _ in range(2):
        folder = tmp_path / "set"
        folder.mkdir()
        (folder / "file").touch()
        hidden = atomic.hide(folder)
        assert hidden.name.startswith(".")
        assert not folder.exists()
    assert atomic.remove(hidden)
    assert len(list(tmp_path.iterdir())) == 1


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


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022])
def test_a_new_private_folder_is_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """With umask 002 the group could write to a new home, and so add a key to its database."""
    before = os.umask(umask)
    try:
        atomic.private_folder(tmp_path / "parent" / "home" / "store")
    finally:
        os.umask(before)
    for name in ("parent", "parent/home", "parent/home/store"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o700


def test_a_folder_that_its_group_shares_on_purpose_stays_shared(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o777)
    atomic.private_folder(tmp_path / "home")
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o770


def test_files_are_copied_into_a_folder_that_exists_or_not(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "card.json").write_text("{}")
    for name in ("new", "new"):
        assert atomic.copy_files(tmp_path / "source", tmp_path / name) == tmp_path / name
    assert (tmp_path / "new" / "card.json").read_text() == "{}"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a device that is full")
def test_a_disk_that_is_full_while_files_are_copied_keeps_its_number(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "card.json").write_text("{}")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "card.json").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space") as failure:
        atomic.copy_files(tmp_path / "source", tmp_path / "full")
    assert failure.value.errno == errno.ENOSPC
