"""A kind of source is one module: it is found by being in the folder of sources."""

import sys
import tarfile
from pathlib import Path

import pytest

from models.errors import DatasetError
from tests.worker.datasets.test_packing import picture, write_zip
from worker.datasets import sources
from worker.datasets.packing import pack
from worker.datasets.sources import open_source
from worker.datasets.sources.folder import FolderSource
from worker.datasets.sources.starter import StarterSource
from worker.datasets.sources.zip import ZipSource

TAR = '''
"""A tar of pictures, read in place."""

import tarfile
from dataclasses import dataclass
from pathlib import Path

from models.datasets.labels import LabelTable
from worker.datasets.source import PROBE, Contents, decode, shorter_sides


@dataclass(frozen=True)
class TarSource:
    path: Path
    name: str
    licence: str = "unknown"
    credit: str = ""

    def _files(self):
        with tarfile.open(self.path) as archive:
            for member in archive:
                yield member.name, archive.extractfile(member).read()

    def contents(self, part, size):
        return Contents(str(self.path), part.choose(name for name, _ in self._files()))

    def pictures(self, contents, decoding):
        return decode((each for each in self._files() if each[0] in contents.names), decoding)

    def labels(self, contents, names):
        return {}

    def sides(self, part=PROBE):
        return shorter_sides(self._files())

    def label_table(self):
        return LabelTable()


def recognise(source, name, licence):
    path = Path(source)
    is_tar = path.is_file() and tarfile.is_tarfile(path)
    return TarSource(path, name or path.stem, licence) if is_tar else None
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures."""
    pictures = tmp_path / "faces"
    pictures.mkdir()
    for number in range(3):
        (pictures / f"{number}.png").write_bytes(picture(60 * number))
    return pictures


def test_each_kind_is_recognised(folder: Path, tmp_path: Path) -> None:
    write_zip(folder, tmp_path / "faces.zip")
    unnamed = tmp_path / "unnamed"
    unnamed.write_bytes((tmp_path / "faces.zip").read_bytes())
    assert isinstance(open_source(folder), FolderSource)
    assert isinstance(open_source(tmp_path / "faces.zip"), ZipSource)
    assert isinstance(open_source(unnamed), ZipSource)
    assert isinstance(open_source("starter-1"), StarterSource)
    assert isinstance(open_source("starter-2"), StarterSource)


@pytest.mark.parametrize("name", ["nothing", "text.txt"])
def test_anything_else_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.txt").write_text("no pictures")
    with pytest.raises(DatasetError, match="no folder or zip"):
        open_source(tmp_path / name)


def test_a_new_kind_is_one_module(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(tmp_path / "faces.tar", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "tar.py").write_text(TAR)
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(modules)])
    try:
        tar_set = pack(tmp_path / "faces.tar", 8, tmp_path / "cache", name="tar")
        folder_set = pack(folder, 8, tmp_path / "cache", name="tar")
    finally:
        sys.modules.pop("worker.datasets.sources.tar", None)
    assert (tar_set.count, tar_set.names()) == (3, ["0.png", "1.png", "2.png"])
    assert tar_set.fingerprint == folder_set.fingerprint
