"""Blobs: files below one folder, optionally backed by an S3-compatible bucket.

All files are read and written locally. With a bucket, a finished file is uploaded before the
database names it (`put`), and a missing one is downloaded atomically (`fetch`). Every host can
therefore have each version, dataset and snapshot that the database names, and its own folder is a
cache that may be lost.
"""

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from models.errors import KaoError, StorageUnreachable
from models.storage import atomic

if TYPE_CHECKING:
    from obstore.store import ObjectStore, S3Config

RETRY = datetime.timedelta(seconds=20)  # then StorageUnreachable is raised
CONNECT = datetime.timedelta(seconds=3)
READ = datetime.timedelta(seconds=20)  # without a byte; it includes sending a part
TRANSFER = datetime.timedelta(minutes=30)  # a dataset of 2 GB at 10 Mbit/s
PARTS = 3  # sent concurrently, of 5 MiB each: within READ at 6 Mbit/s
Check = Callable[[Path], None]


@dataclass(frozen=True)
class Blob:
    """A file in the bucket. name: below the prefix; modified: by the bucket's clock."""

    name: str
    bytes: int
    modified: datetime.datetime


class Blobs:
    """`folder`, and the bucket at `url` (`s3://bucket/prefix`). Without one, copying is a no-op.

    credentials: `access_key_id`, `secret_access_key`, `session_token`; what is missing comes from
    the standard variables, AWS_REGION and others. Methods block, and raise StorageUnreachable when
    the bucket does not answer.
    """

    def __init__(
        self, folder: Path, url: str | None = None, credentials: dict[str, str] | None = None
    ) -> None:
        self.folder, self.url, self._credentials = folder, url, credentials or {}

    @cached_property
    def _bucket(self) -> "ObjectStore | None":
        if self.url is None:
            return None
        try:
            from obstore.store import from_url
        except ImportError:
            raise KaoError(
                "STORAGE_URL names a bucket, but the S3 client is not installed: "
                "pip install 'kao[hosts]'."
            ) from None
        return from_url(
            self.url,
            config=cast("S3Config", self._credentials),
            client_options={
                "connect_timeout": CONNECT,
                "read_timeout": READ,
                "timeout": TRANSFER,
                # For stores within one network; the URL states the scheme.
                "allow_http": True,
            },
            retry_config={"retry_timeout": RETRY},
        )

    def put(self, path: Path, name: str | None = None) -> None:
        """Upload a file, replacing an existing one. name: for a path that is not below `folder`."""
        self._put(path, name or self._name(path), "overwrite")

    def put_once(self, path: Path, name: str | None = None) -> None:
        """Upload a file, or a folder's files, named by their content. An existing one stays.

        A copy that was damaged on this host therefore never replaces a good one. name: of a file
        that is not below `folder`.
        """
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            self._put(file, name or self._name(file), "create")

    def exists(self, name: str) -> bool:
        """Whether the bucket has a file; without a bucket, true."""
        if self._bucket is None:
            return True
        import obstore
        from obstore.exceptions import NotFoundError

        with _translated_errors():
            try:
                obstore.head(self._bucket, name)
            except (FileNotFoundError, NotFoundError):
                return False
        return True

    def _put(self, path: Path, name: str, mode: Literal["create", "overwrite"]) -> None:
        if self._bucket is None:
            return
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with _translated_errors():
            try:
                obstore.put(self._bucket, name, path, mode=mode, max_concurrency=PARTS)
            except AlreadyExistsError:
                if mode != "create":
                    raise

    def fetch(self, path: Path, check: Check | None = None, name: str | None = None) -> Path:
        """Download a file unless it is here; `path`.

        check: raises an error for bytes that are wrong, before they are used. A file that is
        nowhere stays missing: opening it raises FileNotFoundError.
        """
        if self._bucket is None or self._touch(path):
            return path
        with atomic.scratch_folder(path.parent) as scratch:
            download = scratch / path.name
            if self._get(name or self._name(path), download):
                if check is not None:
                    check(download)
                atomic.sync(download)
                download.replace(path)
                atomic.sync(path.parent)
        return path

    def fetch_folder(self, folder: Path, check: Check) -> Path:
        """Download a folder's files unless it is here, all of them or none; `folder`."""
        if self._bucket is None or self._touch(folder):
            return folder
        names = self.names(self._name(folder))
        with atomic.scratch_folder(folder.parent) as scratch:
            for name in names:
                self._get(f"{self._name(folder)}/{name}", scratch / name)
            if names:
                check(scratch)
                atomic.settle(scratch, folder)
        return folder

    def _touch(self, path: Path) -> bool:
        """Whether it is here. Marks it as used; disk_cache.py evicts the oldest."""
        with contextlib.suppress(FileNotFoundError, PermissionError):  # as another user
            os.utime(path)
        return path.exists()

    def _get(self, name: str, target: Path) -> bool:
        """Download one file; whether it exists."""
        import obstore
        from obstore.exceptions import NotFoundError

        assert self._bucket is not None
        with _translated_errors():
            try:
                stream = obstore.get(self._bucket, name)
            except (FileNotFoundError, NotFoundError):
                return False
            with target.open("wb") as file:
                for chunk in stream:
                    file.write(chunk)
        return True

    def names(self, prefix: str) -> list[str]:
        """Return the names of the files right below a prefix, sorted; none without a bucket."""
        if self._bucket is None:
            return []
        import obstore

        with _translated_errors():
            objects = obstore.list_with_delimiter(self._bucket, prefix)["objects"]
        return sorted(item["path"].rpartition("/")[2] for item in objects)

    def list_blobs(self) -> Iterator[Blob]:
        """Yield every file of the bucket below its prefix; nothing without a bucket."""
        if self._bucket is None:
            return
        import obstore

        with _translated_errors():
            for chunk in obstore.list(self._bucket):
                for item in chunk:
                    yield Blob(item["path"], item["size"], item["last_modified"])

    def remove_names(self, names: list[str]) -> None:
        """Remove files from the bucket, not from the folder."""
        if self._bucket is not None:
            import obstore

            with _translated_errors():
                obstore.delete(self._bucket, names)

    def remove(self, path: Path) -> None:
        """Remove a file from the folder and the bucket, where it exists."""
        path.unlink(missing_ok=True)
        if self._bucket is not None:
            import obstore

            with _translated_errors():
                obstore.delete(self._bucket, self._name(path))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()


@contextmanager
def _translated_errors() -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except BaseError as error:
        reason = str(error).splitlines()[0][:200]
        raise StorageUnreachable(f"The storage refused or did not answer: {reason}") from error
