"""The facts that only HTTP knows; the rest of the tree is in `models/errors.py`."""

from collections.abc import Sequence

from models.errors import KaoError


class InvalidParameter(KaoError):
    """A query parameter or header that is unknown, repeated, or out of its range."""

    def __init__(self, parameter: str, problem: str, allowed: str | Sequence[str]) -> None:
        self.parameter = parameter[:80]
        self.allowed = allowed if isinstance(allowed, str) else list(allowed)
        told = allowed if isinstance(allowed, str) else ", ".join(allowed)
        super().__init__(f"{self.parameter!r} {problem}; allowed: {told or 'none'}.")


class UnknownExtension(KaoError):
    """A picture asked for in a format that is not drawn."""


class UnknownSheet(KaoError):
    """A sample sheet that a run has not drawn."""


class Unauthorised(KaoError):
    """A request without a valid key."""


class TooLarge(KaoError):
    """A body above the limit."""


class UnsupportedBody(KaoError):
    """A body of a kind that the route does not read."""
