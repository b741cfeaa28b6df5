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
DECIMALS = 20  # that the server reads of a number


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
        if not answer.is_success:
            raise refusal(answer)
        return self.read(answer)


def refusal(answer: httpx.Response) -> Refused:
    """The error of an answer that is no success: a redirect, which is not followed, too."""
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
    """A value as text: a float without an exponent, and with 20 decimals at most.

    The server reads no others.
    """
    if isinstance(value, float):
        text = format(Decimal(repr(float(value))), "f")  # a NumPy float's repr has its type
        whole, point, decimals = text.partition(".")
        return f"{whole}{point}{decimals[:DECIMALS]}".rstrip("0").rstrip(".") if point else text
    return str(value)
