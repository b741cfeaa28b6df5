"""The OpenAPI document is true: whatever it allows is answered as it says, and nothing is a 500.

Schemathesis makes the requests, good and bad ones. `make fuzz` makes many more of them.
"""

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from app import openapi
from models.registry import Registry
from tests.app.conftest import Start

load_all_checks()
# What JSON Schema cannot say is a 422 too: a sheet of more pixels than are drawn, for one.
TOO_STRICT = [CHECKS.get_one("positive_data_acceptance")]
schemathesis.openapi.media_type("application/zip", st.binary(max_size=300))
# A request takes longer than the examples of other tests; `make fuzz` has a profile with more.
EXAMPLES = max(1, settings.default.max_examples // 20)
AS_OFTEN = settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
PRIVATE = {"public_avatars": False}


@pytest.fixture
def document(start: Start, registry: Registry):
    """The document of a live app, its settings changed."""

    def make(**changed):
        live = start(limit_calls="none", **changed)
        return schemathesis.openapi.from_url(f"{live.url}/openapi.json")

    return make


@pytest.mark.parametrize("changed", [{}, PRIVATE], ids=["public", "private"])
@pytest.mark.parametrize("keyed", [True, False], ids=["key", "no-key"])
def test_every_answer_is_as_documented(document, key: dict[str, str], keyed, changed) -> None:
    wrong = []
    for found in document(**changed).get_all_operations():
        operation = found.ok()

        @AS_OFTEN
        @given(case=operation.as_strategy())
        def ask(case) -> None:
            # An animation of many large frames may take longer than the default of ten seconds.
            headers = key if keyed else None
            case.call_and_validate(headers=headers, excluded_checks=TOO_STRICT, timeout=60)

        try:
            ask()
        except (
            Exception,
            FailureGroup,
        ) as error:  # one operation's failures must not hide another's
            # Hypothesis keeps what went wrong once, and not again, within its own error.
            causes = [error, *getattr(error, "exceptions", ())]
            wrong += [f"{operation.label}: {cause}" for cause in causes]
    assert not wrong, "\n\n".join(wrong)


def test_one_answer_leads_to_the_next(document, key: dict[str, str]) -> None:
    """Runs, keys and models that one call made are what others are asked for."""

    class Session(document().as_state_machine()):
        def get_call_kwargs(self, case):
            return {"headers": key}

        def validate_response(self, response, case, **_) -> None:
            case.validate_response(
                response, excluded_checks=TOO_STRICT, headers=key, recorder=self.recorder
            )

    Session.run(settings=settings(AS_OFTEN, stateful_step_count=8))


def test_every_error_is_described_in_the_document(client: TestClient) -> None:
    told = client.get("/openapi.json").json()
    for method, path, operation in openapi.operations(told):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert answer["description"], (method, path, status)
                assert "application/problem+json" in answer["content"], (method, path, status)
