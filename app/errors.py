"""Errors of requests, over HTTP or on the command line; the rest are in `models/errors.py`."""

from collections.abc import Sequence

from models.errors import KaoError, TooLarge as TooLarge


class InvalidParameter(KaoError):
    """A query parameter or header that is unknown, repeated, or out of its range."""

    def __init__(self, parameter: str, problem: str, allowed: str | Sequence[str]) -> None:
        self.parameter = parameter[:80]
        self.allowed = allowed if isinstance(allowed, str) else list(allowed)
        choices = allowed if isinstance(allowed, str) else ", ".join(allowed)
        super().__init__(f"{self.parameter!r} {problem}; allowed: {choices or 'none'}.")


class NoAvatar(KaoError):
    """A forced default that says there is no avatar (Gravatar's `d=404`)."""


class UnknownExtension(KaoError):
    """A picture requested in a format that Kao does not encode."""


class UnknownSheet(KaoError):
    """A sample sheet that a run has not written."""


class Unauthorised(KaoError):
    """A request without a valid API key or session."""


class Forbidden(KaoError):
    """A valid key or signed address without permission; `scope`: the scope that is missing."""

    def __init__(self, message: str, scope: str | None = None) -> None:
        super().__init__(message)
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'  # RFC 6750 §3.1
        self.headers = {"WWW-Authenticate": challenge} if scope else {}


class TooManyRequests(KaoError):
    """A rate limit is exceeded; `headers` say what is left and when to retry."""

    def __init__(self, message: str, headers: dict[str, str]) -> None:
        super().__init__(message)
        self.headers = headers


class PublicAvatars(KaoError):
    """A request to sign an address where pictures are public."""


class UnsupportedBody(KaoError):
    """A body of a media type that the route does not read."""


class NoProvenance(KaoError):
    """A file that is not a picture, or not one that Kao drew."""
