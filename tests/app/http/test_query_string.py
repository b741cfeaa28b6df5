"""Query strings are parsed strictly, and a refusal names the parameter."""

import pytest
from starlette.testclient import TestClient

from app.errors import InvalidParameter
from app.http.query_string import parse


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        pytest.param(b"", {}, id="empty"),
        pytest.param(b"&&", {}, id="separators"),
        pytest.param(b"seed=a+b&size=64", {"seed": "a b", "size": "64"}, id="plus-is-space"),
        pytest.param(b"seed=%E9%A1%94", {"seed": "顔"}, id="utf-8"),
        pytest.param(b"seed", {"seed": ""}, id="no-value"),
        pytest.param(b"seed=a=b", {"seed": "a=b"}, id="equals-in-value"),
        pytest.param(b"%73eed=1", {"seed": "1"}, id="encoded-name"),
    ],
)
def test_a_valid_query_is_decoded(raw: bytes, values: dict[str, str]) -> None:
    assert parse(raw, ("seed", "size")) == values


@pytest.mark.parametrize(
    ("raw", "parameter", "reason"),
    [
        pytest.param(b"sed=1", "sed", "not a parameter", id="unknown"),
        pytest.param(b"seed=1&seed=2", "seed", "given twice", id="repeated"),
        pytest.param(b"seed=1&%73eed=2", "seed", "given twice", id="repeated-in-other-spelling"),
        pytest.param(b"seed=%FF", "seed", "UTF-8", id="bytes"),
        pytest.param(b"%FF=1", "\ufffd", "UTF-8", id="name-of-bytes"),
    ],
)
def test_an_invalid_query_names_its_parameter(raw: bytes, parameter: str, reason: str) -> None:
    with pytest.raises(InvalidParameter, match=reason) as refusal:
        parse(raw, ("seed", "size"))
    assert refusal.value.parameter == parameter


def test_any_name_is_accepted_where_none_are_given() -> None:
    assert parse(b"hair_colour=pink") == {"hair_colour": "pink"}


def test_a_parameter_that_was_escaped_for_html_twice_is_not_left_out(
    client: TestClient, key: dict[str, str]
) -> None:
    answer = client.get("/train?state=queued&amp;limit=1", headers=key)
    assert (answer.status_code, answer.json()["parameter"]) == (422, "amp;")
