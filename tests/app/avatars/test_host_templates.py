"""The routes give a face for the addresses of tests/hosts/test_templates.py, not only a request."""

from urllib.parse import unquote, urlsplit

import pytest
from starlette.testclient import TestClient

from tests.hosts.test_templates import HOSTS, awkward_names


@pytest.mark.parametrize("name", HOSTS)
def test_an_address_of_a_host_is_answered_with_the_right_face(faces: TestClient, name: str) -> None:
    host = HOSTS[name]
    for person in awkward_names(host.alphabet)[1:24:2]:
        if not person.strip():
            continue
        parts = urlsplit(host.expand(person))
        answer = faces.head(f"{parts.path}?{parts.query}")
        assert answer.status_code == 200, (person, answer.text)
        assert unquote(answer.headers["x-avatar-seed"]) == host.seed(person)
