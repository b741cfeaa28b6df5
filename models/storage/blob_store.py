"""Blobs: files below one folder, which an S3-compatible bucket may stand behind.

Everything is read and written as a file, with a bucket or without. With one, whatever is finished
is copied up before the database names it (`put`), and what is missing here is copied down, whole
or not at all (`fetch`). So every host can have each version, dataset and snapshot that the
database knows, and its own folder is a cache that may be lost.
"""

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from models.errors import KaoError, StorageUnreachable
from models.storage import atomic

if TYPE_CHECKING:
    from obstore.store import ObjectStore

RETRY = datetime.timedelta(seconds=20)  # then the caller hears of it, and tries again or says so
CONNECT = datetime.timedelta(seconds=3)
SILENCE = datetime.timedelta(seconds=20)  # from a store that hangs; it includes sending a part
TRANSFER = datetime.timedelta(minutes=30)  # a dataset of 2 GB at 10 Mbit/s
PARTS = 3  # sent at once, of 5 MiB each: within SILENCE at 6 Mbit/s
Check = Callable[[Path], None]


@dataclass(frozen=True)
class Blob:
    """A file in the bucket. name: below the prefix; modified: by the bucket's clock."""

    name: str
    bytes: int
    modified: datetime.datetime


class Blobs:
    """`folder`, and the bucket at `url` (`s3://bucket/prefix`); without one every copy is a no-op.

    Who we are to S3 is in AWS_ACCESS_KEY_ID and its kin, as everywhere. Methods block, and raise
    StorageUnreachable where the bucket does not answer.
    """

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder, self.url = folder, url

    @cached_property
    def _bucket(self) -> "ObjectStore | None":
        if self.url is None:
            return None
        try:
            from obstore.store import from_url
        except ImportError:
            raise KaoError(
                "STORAGE_URL names a bucket, but what speaks to one is not installed: "
                "pip install 'kao[hosts]'."
            ) from None
        return from_url(
            self.url,
            client_options={
                "connect_timeout": CONNECT,
                "read_timeout": SILENCE,
                "timeout": TRANSFER,
                # Plain HTTP is for stores within one network; the address says which it is.
                "allow_http": True,
            },
            retry_config={"retry_timeout": RETRY},
        )

    def put(self, path: Path, name: str | None = None) -> None:
        """Copy a file up, replacing what was there. `name`: where path is not below `folder`."""
        self._put(path, name or self._name(path), "overwrite")

    def put_once(self, path: Path) -> None:
        """Copy up a file, or a folder's files, named by their content: what is there stays.

        So a copy that was damaged here never replaces a good one.
        """
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            self._put(file, self._name(file), "create")

    def _put(self, path: Path, name: str, mode: Literal["create", "overwrite"]) -> None:
        if self._bucket is None:
            return
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with _answering():
            try:
                obstore.put(self._bucket, name, path, mode=mode, max_concurrency=PARTS)
            except AlreadyExistsError:
                if mode != "create":
                    raise

    def fetch(self, path: Path, check: Check | None = None, name: str | None = None) -> Path:
        """Copy a file down unless it is here; `path`.

        `check` looks at what came before it counts, and raises what is wrong with it. A file that
        is nowhere stays away: whoever opens it says what is missing.
        """
        if self._bucket is None or self._used(path):
            return path
        with atomic.scratch_folder(path.parent) as scratch:
            came = scratch / path.name
            if self._get(name or self._name(path), came):
                if check is not None:
                    check(came)
                atomic.sync(came)
                came.replace(path)
                atomic.sync(path.parent)
        return path

    def fetch_folder(self, folder: Path, check: Check) -> Path:
        """The same for a folder of files, which comes whole or not at all."""
        if self._bucket is None or self._used(folder):
            return folder
        names = self.names(self._name(folder))
        with atomic.scratch_folder(folder.parent) as scratch:
            for name in names:
                self._get(f"{self._name(folder)}/{name}", scratch / name)
            if names:
                check(scratch)
                atomic.settle(scratch, folder)
        return folder

    def _used(self, path: Path) -> bool:
        """Whether it is here; disk_cache.py evicts what was used least recently."""
        with contextlib.suppress(FileNotFoundError, PermissionError):  # as another user
            os.utime(path)
        return path.exists()

    def _get(self, name: str, target: Path) -> bool:
        """Whether there was one."""
        import obstore
        from obstore.exceptions import NotFoundError

        assert self._bucket is not None
        with _answering():
            try:
                stream = obstore.get(self._bucket, name)
            except (FileNotFoundError, NotFoundError):
                return False
            with target.open("wb") as file:
                for chunk in stream:
                    file.write(chunk)
        return True

    def names(self, prefix: str) -> list[str]:
        """The files in the bucket right below a prefix, sorted; none without a bucket."""
        if self._bucket is None:
            return []
        import obstore

        with _answering():
            found = obstore.list_with_delimiter(self._bucket, prefix)["objects"]
        return sorted(item["path"].rpartition("/")[2] for item in found)

    def list_blobs(self) -> Iterator[Blob]:
        """All that is in the bucket below its prefix; nothing without a bucket."""
        if self._bucket is None:
            return
        import obstore

        with _answering():
            for chunk in obstore.list(self._bucket):
                for item in chunk:
                    yield Blob(item["path"], item["size"], item["last_modified"])

    def remove_names(self, names: list[str]) -> None:
        """Remove files from the bucket, and leave this folder alone."""
        if self._bucket is not None:
            import obstore

            with _answering():
                obstore.delete(self._bucket, names)

    def remove(self, path: Path) -> None:
        """Remove a file here and in the bucket, if it is there."""
        path.unlink(missing_ok=True)
        if self._bucket is not None:
            import obstore

            with _answering():
                obstore.delete(self._bucket, self._name(path))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


@contextmanager
def _answering() -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except BaseError as error:
        told = str(error).splitlines()[0][:200]
        raise StorageUnreachable(f"The storage did not do as asked: {told}") from error
