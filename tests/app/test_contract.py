"""The app answers as its OpenAPI document says, and never with a 500.

Schemathesis makes valid and invalid requests; `make fuzz` makes many more of them.
"""

from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings, strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from app import openapi
from models.registry import Registry
from tests.app.conftest import Start

load_all_checks()
# A request that JSON Schema allows may be a 422 all the same, as a sheet with too many pixels.
TOO_STRICT = [CHECKS.get_one("positive_data_acceptance")]
schemathesis.openapi.media_type("application/zip", st.binary(max_size=300))
# A request takes longer than the examples of other tests; `make fuzz` has a profile with more.
EXAMPLES = max(1, (settings.default or settings()).max_examples // 20)
PROFILE = settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
PRIVATE = {"public_avatars": False}
Document = Callable[..., Any]


@pytest.fixture
def document(start: Start, registry: Registry) -> Document:
    """Load the document of a running app with these settings."""

    def make(**changes: Any) -> Any:
        live = start(limit_calls="none", **changes)
        return schemathesis.openapi.from_url(f"{live.url}/openapi.json")

    return make


@pytest.mark.parametrize("changes", [{}, PRIVATE], ids=["public", "private"])
@pytest.mark.parametrize("has_key", [True, False], ids=["key", "no-key"])
def test_every_answer_is_as_documented(
    document: Document, key: dict[str, str], has_key: bool, changes: dict[str, Any]
) -> None:
    wrong = []
    for result in document(**changes).get_all_operations():
        operation = result.ok()

        @PROFILE
        @given(case=operation.as_strategy())
        def send(case: Any) -> None:
            # An animation of many large frames may take longer than the default of ten seconds.
            headers = key if has_key else None
            case.call_and_validate(headers=headers, excluded_checks=TOO_STRICT, timeout=60)

        try:
            send()
        except (
            Exception,
            FailureGroup,
        ) as error:  # one operation's failures must not hide another's
            # Hypothesis reports flaky failures as exceptions within its own error.
            causes = [error, *getattr(error, "exceptions", ())]
            wrong += [f"{operation.label}: {cause}" for cause in causes]
    assert not wrong, "\n\n".join(wrong)


def test_the_links_of_an_answer_lead_to_valid_requests(
    document: Document, key: dict[str, str]
) -> None:
    """Runs, keys and models that one request made are used by the next."""

    class Session(document().as_state_machine()):  # type: ignore[misc]  # made at run time
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": key}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            case.validate_response(
                response, excluded_checks=TOO_STRICT, headers=key, recorder=self.recorder
            )

    Session.run(settings=settings(PROFILE, stateful_step_count=8))


def test_every_error_is_described_in_the_document(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for method, path, operation in openapi.operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert answer["description"], (method, path, status)
                assert "application/problem+json" in answer["content"], (method, path, status)
