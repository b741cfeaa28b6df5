"""Whether concurrent operations on one object could have happened one after the other.

The search of Wing and Gong ("Testing and verifying concurrent objects", 1993) with the memory of
Lowe ("Testing for linearizability", 2017), as Knossos and Porcupine use it: take any operation
that no other one definitely precedes, apply it to a sequential model, go on with the rest, and
never visit the same set of applied operations in the same state twice.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

from tests.adversary.history import Operation

S = TypeVar("S", bound=Hashable)
MOST_STATES = 500_000

# The state after an operation; None where the answer contradicts the state.
Model = Callable[[S, Operation], S | None]
# Whether a state can still become what it must be at the end, by the numbers of operations that are
# left of each kind. It may say yes too often.
Prospect = Callable[[S, Mapping[str, int]], bool]


class TooManyStates(Exception):
    """The history is too concurrent to judge."""


def is_linearizable(
    operations: Sequence[Operation],
    initial: S,
    model: Model[S],
    prospect: Prospect[S] | None = None,
) -> bool:
    """Whether some order explains every certain answer and respects real time.

    An operation without a certain answer may be applied between its start and its end, or never.
    Raises TooManyStates above half a million states.
    """
    order = sorted(operations, key=lambda one: one.start)
    required_bits = sum(1 << index for index, one in enumerate(order) if one.is_certain)
    masks: dict[str, int] = defaultdict(int)
    for index, one in enumerate(order):
        masks[one.kind] |= 1 << index
    stack: list[tuple[int, S]] = [(0, initial)]
    visited_states: set[tuple[int, S]] = {(0, initial)}
    while stack:
        applied_bits, state = stack.pop()
        if required_bits & ~applied_bits == 0:
            return True
        for index in _candidates(order, applied_bits, state, model):
            after = model(state, order[index])
            node = (applied_bits | 1 << index, after)
            if after is None or node in visited_states:
                continue
            visited_states.add((applied_bits | 1 << index, after))
            left = {kind: (mask & ~node[0]).bit_count() for kind, mask in masks.items()}
            if prospect is None or prospect(after, left):
                stack.append((applied_bits | 1 << index, after))
        if len(visited_states) > MOST_STATES:
            raise TooManyStates(f"{len(order)} operations")
    return False


def _candidates(
    order: Sequence[Operation], applied_bits: int, state: S, model: Model[S]
) -> Sequence[int]:
    """The operations to try next, the most promising last; others need not be tried.

    A read that agrees is applied at once: it changes nothing, and later it would constrain the
    others. Of equal operations without an answer the first is applied first: each could take the
    other's place. So without an answer to many promotions the search stays small.
    """
    minimal = _minimal(order, applied_bits)
    for index in minimal:
        if order[index].is_certain and order[index].is_read and model(state, order[index]) == state:
            return [index]
    uncertain = {
        (order[index].kind, str(order[index].value)): index
        for index in reversed(minimal)
        if not order[index].is_certain
    }
    certain = [index for index in minimal if order[index].is_certain]
    return [*uncertain.values(), *sorted(certain, key=lambda index: -order[index].end)]


def _minimal(order: Sequence[Operation], applied_bits: int) -> list[int]:
    """Operations that are left, and that no other one which is left definitely precedes.

    What may never have happened precedes nothing, and happens before what began after its end.
    """
    minimal: list[int] = []
    first_end = math.inf
    last_start = order[applied_bits.bit_length() - 1].start if applied_bits else -math.inf
    for index, one in enumerate(order):
        if applied_bits >> index & 1 or one.end < last_start:
            continue
        if one.start > first_end:
            break  # and so do all later ones
        minimal.append(index)
        if one.is_certain:
            first_end = min(first_end, one.end)
    return [index for index in minimal if order[index].start <= first_end]
