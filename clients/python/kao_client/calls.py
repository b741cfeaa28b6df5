"""A call: a request, and how its answer is read. It does not depend on how it is sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

T = TypeVar("T")
ZIP = {"Content-Type": "application/zip"}


class Refused(Exception):
    """The server answered with a problem (RFC 9457): `status`, `type`, and all of its members."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail", f"The server answered {status}.")))
        self.status, self.problem = status, problem
        self.type = str(problem.get("type", "about:blank")).rpartition(":")[2]


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and the function that reads its answer.

    file: what is sent as the body; target: where the answer's body is written.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    file: Path | None = None
    target: Path | None = None

    def request(self) -> dict[str, Any]:
        """The arguments of httpx's `request`, without the file."""
        names = {"method": self.method, "url": self.path, "params": dict(self.query)}
        return {**names, "headers": dict(self.headers), "json": self.json}

    def result(self, answer: httpx.Response) -> T:
        """The content of the answer. Raises Refused."""
        if answer.is_error:
            raise refusal(answer)
        return self.read(answer)


def refusal(answer: httpx.Response) -> Refused:
    """The error of an answer with a status of 400 or more."""
    try:
        problem = answer.json()
    except ValueError:  # the page of a proxy
        problem = {}
    return Refused(answer.status_code, problem if isinstance(problem, dict) else {})


def segment(text: str) -> str:
    """Percent-encode a segment of a path."""
    return quote(text, safe="")


def query(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Parameters as texts, without those that are None."""
    return {name: format_value(value) for name, value in parameters.items() if value is not None}


def format_value(value: object) -> str:
    """A value as text: a float without an exponent, which the server does not read."""
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    return str(value)
