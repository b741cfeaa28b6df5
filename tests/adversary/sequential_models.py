"""Sequential models of what clients can change: what each answer says about the state before it.

Each takes the state and an operation, and returns the state after it, or None where they disagree.
An operation without a certain answer is asked what it would do if it was carried out now.
"""

from collections.abc import Mapping

from tests.adversary.history import Operation

Run = tuple[str | None, str]  # id (None: made by a request without an answer), body
History = tuple[str, ...]  # every version that `default` named, the oldest first


def idempotency_key(state: Run | str, operation: Operation) -> Run | str | None:
    """`POST /train` under one Idempotency-Key. state: "free", or the run that has the key."""
    body = str(operation.value)
    if isinstance(state, str):
        if operation.status == 409:
            return None
        return (operation.answer if operation.is_success else None, body)
    run, first_body = state
    if not operation.is_certain:
        return state
    if operation.status == 409:
        return state if body != first_body else None
    if body != first_body or run not in (None, operation.answer):
        return None
    return (operation.answer, body)


def api_key(state: str, operation: Operation) -> str | None:
    """An API key. state: "active" or "revoked"."""
    if operation.kind == "key.revoke":
        return "revoked"
    is_active = operation.status != 401
    return state if is_active == (state == "active") else None


def default_alias(state: History, operation: Operation) -> History | None:
    """`default` with the versions that it named before."""
    match operation.kind:
        case "promote":
            version = str(operation.value)
            return state if state[-1:] == (version,) else (*state, version)
        case "roll_back":
            if operation.status == 404:
                return state if len(state) < 2 else None
            if len(state) < 2:
                return None
            is_explained = not operation.is_certain or operation.answer == state[-2]
            return state[:-1] if is_explained else None
        case "rest":
            return state if list(state) == operation.answer else None
        case _:  # a reader
            return state if state[-1:] == (operation.answer,) else None


def may_become(final: History, state: History, left: Mapping[str, int]) -> bool:
    """Whether the promotions and rollbacks that are left suffice to make `final` of the history."""
    if not left.get("rest"):
        return True
    pairs = enumerate(zip(state, final, strict=False))
    shorter = min(len(state), len(final))
    common = next((index for index, (one, other) in pairs if one != other), shorter)
    surplus, missing = len(state) - common, len(final) - common
    return surplus <= left.get("roll_back", 0) and missing <= left.get("promote", 0)


def dataset(state: str, operation: Operation) -> str | None:
    """The name of a dataset. state: the digest of its zip, or "" without one."""
    match operation.kind:
        case "dataset.upload":
            return _upload(state, operation)
        case "dataset.delete":
            if operation.status == 409:  # a run needs it
                return state or None
            if operation.status == 404:
                return None if state else ""
            return "" if state or not operation.is_certain else None
        case _:  # a reader
            return state if (operation.answer or "") == state else None


def _upload(state: str, operation: Operation) -> str | None:
    digest = str(operation.value)
    if not operation.is_certain:
        return state or digest
    if operation.status == 201:
        return None if state else digest
    if operation.status == 200:
        return state if state == digest else None
    return state if state not in ("", digest) else None  # 409
