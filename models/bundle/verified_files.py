"""Files of published bundles, verified whenever they are read.

The content of a version never changes and clients cache it, so a damaged file must never be served
under it.
"""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from models import bundle
from models.errors import BadBundle


class VerifiedFiles:
    """Reads files of versions.

    fetch: the folder of a version, filled. replace_damaged: replaces a damaged copy of a version
    where another one exists, and returns whether it could.
    """

    def __init__(
        self, fetch: Callable[[str], Path], replace_damaged: Callable[[str], bool]
    ) -> None:
        self._fetch, self._replace_damaged = fetch, replace_damaged
        self._digests: dict[str, dict[str, str]] = {}  # of versions that were hashed here

    def digests(self, version: str) -> dict[str, str]:
        """Return the SHA-256 of each file of a version, which is verified once a process.

        Raises BadBundle, StorageUnreachable.
        """
        if version not in self._digests:
            folder = self._fetch(version)
            if not bundle.is_whole(folder, version) and not self._replace_damaged(version):
                raise BadBundle(f"Bundle {version[:12]} is damaged, or its files are missing.")
            self._digests[version] = bundle.file_digests(folder)
        return self._digests[version]

    def read(self, version: str, name: str) -> bytes | None:
        """Return the bytes of a version's file as they were published; None: it has no such file.

        Raises BadBundle, StorageUnreachable.
        """
        sha256 = self.digests(version).get(name)
        if sha256 is None:
            return None
        for _ in range(2):
            with contextlib.suppress(OSError):
                content = (self._fetch(version) / name).read_bytes()
                if hashlib.sha256(content).hexdigest() == sha256:
                    return content
            if not self._replace_damaged(version):
                break
        raise BadBundle(f"{name} of bundle {version[:12]} is damaged or missing.")
