"""S3 for the tests that need it."""

from collections.abc import Iterator

import pytest

from tests.support.servers import KEYS, REGION, S3


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    server = S3()
    yield server
    server.stop()


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket's STORAGE_URL; the environment says how to reach it."""
    for name, value in {**KEYS, **REGION, "AWS_ENDPOINT_URL": s3.url}.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.bucket()}/faces"
