"""The buckets: exact by arithmetic, for any number of clients."""

import time
from functools import partial

import pytest
from hypothesis import given, strategies as st

from app.rate_limits import gcra
from app.rate_limits.gcra import Buckets, Policy

POLICY = Policy("pictures", 5, 60)


class Clock:
    """A clock that a test moves."""

    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """`clock.now` is the time."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def test_a_whole_quota_at_once_and_then_evenly(clock: Clock) -> None:
    buckets = Buckets()
    verdicts = [buckets.charge(POLICY, "a", 1) for _ in range(6)]
    assert [verdict.is_allowed for verdict in verdicts] == [True] * 5 + [False]
    assert [verdict.remaining for verdict in verdicts] == [4, 3, 2, 1, 0, 0]
    clock.now += 11.9
    assert not buckets.charge(POLICY, "a", 1).is_allowed
    clock.now += 0.1
    assert buckets.charge(POLICY, "a", 1).is_allowed
    assert not buckets.charge(POLICY, "a", 1).is_allowed
    clock.now += 60
    assert buckets.charge(POLICY, "a", 5).is_allowed


def test_one_client_does_not_pay_for_another(clock: Clock) -> None:
    buckets = Buckets()
    assert buckets.charge(POLICY, "a", 5).is_allowed
    assert buckets.charge(POLICY, "b", 5).is_allowed
    assert buckets.charge(Policy("calls", 5, 60), "a", 5).is_allowed


def test_a_refusal_charges_nothing(clock: Clock) -> None:
    buckets = Buckets()
    buckets.charge(POLICY, "a", 3)
    for _ in range(9):
        assert not buckets.charge(POLICY, "a", 3).is_allowed
    assert buckets.charge(POLICY, "a", 2).is_allowed


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 5)), max_size=60))
def test_no_window_has_more_than_two_quotas(steps: list[tuple[float, int]]) -> None:
    """A burst of a whole quota, and what is regained meanwhile: the bound of the algorithm."""
    buckets, now = Buckets(), 0.0
    charges: list[tuple[float, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        for pause, cost in steps:
            now += pause
            patch.setattr(time, "monotonic", partial(float, now))
            if buckets.charge(POLICY, "a", cost).is_allowed:
                charges.append((now, cost))
    for start, _ in charges:
        total = sum(cost for at, cost in charges if start <= at < start + POLICY.window)
        assert total <= 2 * POLICY.quota


def test_the_least_recently_seen_client_is_evicted_first(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(gcra, "MAX_CLIENTS", 3)
    buckets = Buckets()
    for name in ("a", "b", "a", "c", "d"):
        buckets.charge(POLICY, name, 2)
    assert buckets.charge(POLICY, "b", 5).is_allowed  # evicted
    assert not buckets.charge(POLICY, "d", 5).is_allowed


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("600/minute", Policy("calls", 600, 60)),
        ("1/second", Policy("calls", 1, 1)),
        ("90000/day", Policy("calls", 90000, 86400)),
        ("none", None),
    ],
)
def test_a_setting_is_parsed(text: str, policy: Policy | None) -> None:
    assert Policy.parse("calls", text) == policy


def test_headers_are_as_the_draft_has_them(clock: Clock) -> None:
    buckets = Buckets()
    buckets.charge(POLICY, "a", 2)
    assert buckets.charge(POLICY, "a", 1).headers() == {
        "RateLimit": '"pictures";r=2;t=36',
        "RateLimit-Policy": '"pictures";q=5;w=60',
    }


def test_a_charge_of_nothing_only_looks(clock: Clock) -> None:
    buckets = Buckets()
    assert buckets.charge(POLICY, "a", 0).is_allowed
    assert buckets.charge(POLICY, "a", 5).is_allowed
    assert not buckets.charge(POLICY, "a", 0).is_allowed
    clock.now += 12
    assert buckets.charge(POLICY, "a", 0).is_allowed
    assert buckets.charge(POLICY, "a", 1).is_allowed
