"""However a zip of pictures or a bundle was changed, it is whole or it is refused."""

from functools import lru_cache
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings, strategies as st

from models.datasets import archive
from models.datasets.archive import Limits
from models.errors import BadBundle, DatasetError
from tests.fuzz.empty_store import empty
from tests.support.hostile_zips import GOOD, KINDS, picture, zipped

TESTS = Path(__file__).parents[1]

OFTEN = settings(deadline=None, suppress_health_check=list(HealthCheck))
SMALL = Limits(entries=500, file_bytes=1 << 20, total_bytes=1 << 21)
BUNDLE = (TESTS / "fixtures" / "format-1" / "bundle.zip").read_bytes()
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "AVIF")
Changes = list[tuple[float, bytes, int]]
# Where to change, as a part of the whole; what with; how many bytes it replaces.
CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=8), st.integers(0, 8)),
    max_size=6,
)


@lru_cache(maxsize=1)
def bases() -> list[bytes]:
    """Honest zips, and the smaller evil ones."""
    honest = [zipped(GOOD), zipped(*((f"{name}.{name}", picture(name)) for name in FORMATS))]
    evil = (make() for name, (make, _) in KINDS.items() if "MP" not in name)
    return honest + [content for content in evil if len(content) < 1 << 14]


def change(content: bytes, changes: Changes) -> bytes:
    """Bytes put in, taken away or replaced."""
    data = bytearray(content)
    for where, new, length in changes:
        start = int(where * len(data))
        data[start : start + length] = new
    return bytes(data)


@OFTEN
@given(index=st.integers(0, 999), changes=CHANGES)
@example(index=1, changes=[(0.5, b"\0", 0)])  # a damaged entry is left out
def test_any_zip_is_counted_or_refused(index: int, changes: Changes) -> None:
    path = empty()[1].bundles.parent / "fuzzed.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(change(bases()[index % len(bases())], changes))
    try:
        report = archive.check(path, SMALL, decode=True)
    except DatasetError:
        return
    readable = [
        name for name, content in archive.members(path, SMALL) if isinstance(content, bytes)
    ]
    assert report.images == len(readable)


@settings(OFTEN, max_examples=max(1, OFTEN.max_examples // 5))
@given(changes=CHANGES)
def test_any_bundle_is_whole_or_refused(changes: Changes) -> None:
    registry = empty()[1]
    content = change(BUNDLE, changes)
    path = registry.bundles.parent / "bundle.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    before = {folder.name for folder in registry.bundles.glob("*")}
    try:
        version = registry.import_zip(path)
    except BadBundle:
        assert {folder.name for folder in registry.bundles.glob("*")} == before
        return
    assert registry.resolve(version) == version
