"""The buckets: exact by arithmetic, whoever asks and however many do."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rate_limits import gcra
from app.rate_limits.gcra import Buckets, Policy

POLICY = Policy("pictures", 5, 60)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """`clock.now` is the time."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now)
    return Clock


def test_a_whole_quota_at_once_and_then_evenly(clock) -> None:
    buckets = Buckets()
    told = [buckets.charge(POLICY, "a", 1) for _ in range(6)]
    assert [verdict.is_allowed for verdict in told] == [True] * 5 + [False]
    assert [verdict.remaining for verdict in told] == [4, 3, 2, 1, 0, 0]
    clock.now += 11.9
    assert not buckets.charge(POLICY, "a", 1).is_allowed
    clock.now += 0.1
    assert buckets.charge(POLICY, "a", 1).is_allowed
    assert not buckets.charge(POLICY, "a", 1).is_allowed
    clock.now += 60
    assert buckets.charge(POLICY, "a", 5).is_allowed


def test_one_does_not_pay_for_another(clock) -> None:
    buckets = Buckets()
    assert buckets.charge(POLICY, "a", 5).is_allowed
    assert buckets.charge(POLICY, "b", 5).is_allowed
    assert buckets.charge(Policy("calls", 5, 60), "a", 5).is_allowed


def test_a_refusal_counts_nothing(clock) -> None:
    buckets = Buckets()
    buckets.charge(POLICY, "a", 3)
    for _ in range(9):
        assert not buckets.charge(POLICY, "a", 3).is_allowed
    assert buckets.charge(POLICY, "a", 2).is_allowed


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 5)), max_size=60))
def test_no_window_has_more_than_two_quotas(steps) -> None:
    """A burst of a whole quota, and what flows back meanwhile: the bound of the algorithm."""
    buckets, now, seen = Buckets(), 0.0, []
    with pytest.MonkeyPatch.context() as patch:
        for pause, cost in steps:
            now += pause
            patch.setattr(time, "monotonic", lambda now=now: now)
            if buckets.charge(POLICY, "a", cost).is_allowed:
                seen.append((now, cost))
    for began, _ in seen:
        inside = sum(cost for at, cost in seen if began <= at < began + POLICY.window)
        assert inside <= 2 * POLICY.quota


def test_many_addresses_are_forgotten_oldest_first(monkeypatch: pytest.MonkeyPatch, clock) -> None:
    monkeypatch.setattr(gcra, "MAX_CLIENTS", 3)
    buckets = Buckets()
    for who in ("a", "b", "a", "c", "d"):
        buckets.charge(POLICY, who, 2)
    assert buckets.charge(POLICY, "b", 5).is_allowed  # forgotten
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
def test_a_setting_is_read(text, policy) -> None:
    assert Policy.parse("calls", text) == policy


def test_headers_are_as_the_draft_has_them(clock) -> None:
    buckets = Buckets()
    buckets.charge(POLICY, "a", 2)
    assert buckets.charge(POLICY, "a", 1).headers() == {
        "RateLimit": '"pictures";r=2;t=36',
        "RateLimit-Policy": '"pictures";q=5;w=60',
    }
