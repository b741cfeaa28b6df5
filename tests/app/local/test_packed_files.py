"""Packed files stay in memory while they are among those that were used last."""

from app.http.content_encoding import EncodedContent
from app.local.packed_files import MOST, PackedFile, PackedFiles

FILE = PackedFile(EncodedContent(b"x", {}), 1, "0" * 64)


def test_the_least_recently_used_file_is_dropped() -> None:
    files = PackedFiles()
    for number in range(MOST):
        files.add("version", str(number), FILE)
    assert files.get("version", "0") is FILE
    files.add("version", "new", FILE)
    assert files.get("version", "1") is None
    assert files.get("version", "0") is files.get("version", "new") is FILE


def test_a_file_belongs_to_one_version() -> None:
    files = PackedFiles()
    files.add("one", "name", FILE)
    assert files.get("other", "name") is None
