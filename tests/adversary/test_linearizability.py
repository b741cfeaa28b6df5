"""The search for an order: registers with overlapping, missing and impossible answers."""

import dataclasses
import math
from collections.abc import Sequence
from functools import partial

import pytest

from tests.adversary.history import Operation
from tests.adversary.linearizability import TooManyStates, is_linearizable
from tests.adversary.sequential_models import History, default_alias, may_become


def register(state: int, operation: Operation) -> int | None:
    """A register of one number."""
    if operation.kind == "write":
        return int(operation.value)
    return state if state == operation.answer else None


def write(value: int, start: float, end: float = math.inf) -> Operation:
    status = None if math.isinf(end) else 200
    return Operation(0, "", "write", "", start, end, status, value)


def maybe(value: int, start: float, end: float) -> Operation:
    """A write without an answer, which takes effect by its end or never."""
    return dataclasses.replace(write(value, start), end=end)


def read(value: int, start: float, end: float) -> Operation:
    return Operation(1, "", "read", "", start, end, 200, None, value)


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        pytest.param([], True, id="nothing"),
        pytest.param([write(1, 0, 1), read(1, 2, 3)], True, id="one after the other"),
        pytest.param([write(1, 0, 1), read(0, 2, 3)], False, id="an old value"),
        pytest.param(
            [write(1, 0, 5), read(0, 1, 2), read(1, 3, 4)], True, id="while it is written"
        ),
        pytest.param([write(1, 0, 5), read(1, 1, 2), read(0, 3, 4)], False, id="back again"),
        pytest.param([write(1, 0), read(0, 1, 2), read(1, 3, 4)], True, id="no answer, but done"),
        pytest.param([write(1, 0), read(0, 1, 2), read(0, 3, 4)], True, id="no answer, not done"),
        pytest.param([maybe(1, 0, 3), read(0, 1, 2), read(1, 4, 5)], True, id="done by its end"),
        pytest.param([maybe(1, 0, 3), read(0, 4, 5), read(0, 6, 7)], True, id="never done"),
        pytest.param([maybe(1, 0, 3), read(0, 4, 5), read(1, 6, 7)], False, id="after its end"),
        pytest.param([write(1, 5), read(1, 1, 2)], False, id="before it was asked for"),
        pytest.param(
            [write(1, 0, 1), write(2, 0, 1), read(2, 2, 3), read(1, 4, 5)], False, id="both orders"
        ),
        pytest.param(
            [write(1, 0, 3), write(2, 0, 3), read(2, 1, 2), read(1, 4, 5)], True, id="the other one"
        ),
    ],
)
def test_an_order_is_found_exactly_where_there_is_one(
    operations: list[Operation], expected: bool
) -> None:
    assert is_linearizable(operations, 0, register) is expected


def test_hundreds_of_operations_one_after_the_other_take_no_time() -> None:
    operations = [
        one
        for number in range(400)
        for one in (write(number, 2 * number, 2 * number + 1.5), read(number, 2 * number + 1, 9e9))
    ]
    assert is_linearizable([one for one in operations if one.kind == "write"], 0, register)


def test_a_history_that_is_too_concurrent_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.adversary.linearizability.MOST_STATES", 100)
    operations = [write(number, 0, 10) for number in range(12)]
    with pytest.raises(TooManyStates):
        is_linearizable([*operations, read(99, 11, 12)], 0, register)


def test_equal_operations_without_an_answer_need_few_states(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.adversary.linearizability.MOST_STATES", 10_000)  # of 2**30
    writes = [write(number % 3, number) for number in range(30)]
    assert is_linearizable([*writes, read(2, 40, 41), read(0, 42, 43)], 0, register)
    assert not is_linearizable([*writes, read(7, 40, 41)], 0, register)


def promotion(version: str, start: float, end: float = math.inf) -> Operation:
    status = None if math.isinf(end) else 200
    return Operation(0, "", "promote", "", start, end, status, version, version)


def rest(versions: Sequence[str], at: float) -> Operation:
    return Operation(-1, "", "rest", "", at, at, 200, None, list(versions))


def test_a_history_of_promotions_is_judged_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight promotions without an answer, of which the end shows which were done, and the order."""
    monkeypatch.setattr("tests.adversary.linearizability.MOST_STATES", 1000)
    promotions = [promotion(version, number) for number, version in enumerate("bcdefghi")]

    def is_possible(end: str) -> bool:
        prospect = partial(may_become, tuple(end))
        operations = [*promotions, rest(end, 20)]
        initial: History = ("a",)
        return is_linearizable(operations, initial, default_alias, prospect)

    assert is_possible("aibhcgdfe")
    assert is_possible("a")
    assert not is_possible("abcbd")
    assert not is_possible("aj")
