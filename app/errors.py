"""The facts that only HTTP knows; the rest of the tree is in `models/errors.py`."""

from collections.abc import Sequence

from models.errors import KaoError
from models.errors import TooLarge as TooLarge


class InvalidParameter(KaoError):
    """A query parameter or header that is unknown, repeated, or out of its range."""

    def __init__(self, parameter: str, problem: str, allowed: str | Sequence[str]) -> None:
        self.parameter = parameter[:80]
        self.allowed = allowed if isinstance(allowed, str) else list(allowed)
        told = allowed if isinstance(allowed, str) else ", ".join(allowed)
        super().__init__(f"{self.parameter!r} {problem}; allowed: {told or 'none'}.")


class NoAvatar(KaoError):
    """A forced default that says there is no avatar (Gravatar's `d=404`)."""


class UnknownExtension(KaoError):
    """A picture asked for in a format that is not drawn."""


class UnknownSheet(KaoError):
    """A sample sheet that a run has not drawn."""


class Unauthorised(KaoError):
    """A request without a valid key."""


class Forbidden(KaoError):
    """A key, or a signed address, that does not open this; `scope`: what the key lacks."""

    def __init__(self, told: str, scope: str | None = None) -> None:
        super().__init__(told)
        lacks = f'Bearer error="insufficient_scope", scope="{scope}"'  # RFC 6750 §3.1
        self.headers = {"WWW-Authenticate": lacks} if scope else {}


class TooManyRequests(KaoError):
    """More than a rate limit allows; `headers` say what is left, and when there is more."""

    def __init__(self, told: str, headers: dict[str, str]) -> None:
        super().__init__(told)
        self.headers = headers


class PublicAvatars(KaoError):
    """A signature asked for where nobody needs one."""


class UnsupportedBody(KaoError):
    """A body of a kind that the route does not read."""


class Unidentified(KaoError):
    """A file that is no picture, or none of Kao's."""
