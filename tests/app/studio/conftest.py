"""What tests of the studio share."""

import io
import zipfile

import pytest
from fastapi.testclient import TestClient

from tests.app.studio.types import Upload


@pytest.fixture
def upload(client: TestClient, key: dict[str, str]) -> Upload:
    """Upload files by name as a dataset."""

    def make(name: str, files: dict[str, bytes]) -> None:
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            for path, data in files.items():
                archive.writestr(path, data)
        answer = client.post(f"/datasets?name={name}", content=body.getvalue(), headers=key)
        assert answer.status_code == 201, answer.text

    return make
