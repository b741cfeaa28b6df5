"""What `kao-client` sends, and what it takes for an answer, without a server."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from kao_client import AsyncClient, Client, Refused
from kao_client.calls import format_value

URL = "http://faces.example"
Answer = Callable[[httpx.Request], httpx.Response]


def move(request: httpx.Request) -> httpx.Response:
    """As a proxy sends clients from http to https."""
    return httpx.Response(308, headers={"Location": f"https://faces.example{request.url.path}"})


def test_a_redirect_is_no_answer(tmp_path: Path) -> None:
    target = tmp_path / "model.zip"
    target.write_bytes(b"a whole model")
    with Client(URL, transport=httpx.MockTransport(move)) as kao:
        calls: list[Callable[[], Any]] = [
            lambda: kao.avatar("ada"),
            lambda: kao.models(),
            lambda: kao.download_model("default", target),
            lambda: list(kao.follow("0123456789abcdef")),
        ]
        for call in calls:
            with pytest.raises(Refused) as refusal:
                call()
            assert refusal.value.status == 308
    assert target.read_bytes() == b"a whole model"


def test_a_redirect_is_no_answer_to_coroutines() -> None:
    async def follow() -> None:
        async with AsyncClient(URL, transport=httpx.MockTransport(move)) as kao:
            async for _ in kao.follow("0123456789abcdef"):
                pass

    with pytest.raises(Refused):
        asyncio.run(follow())


def test_own_headers_leave_the_key() -> None:
    requests: list[httpx.Request] = []

    def keep(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(204)

    headers = {"Accept-Language": "zh"}
    with Client(URL, "kao_secret", headers=headers, transport=httpx.MockTransport(keep)) as kao:
        kao.revoke_key("0123456789ab")
    (request,) = requests
    assert request.headers["authorization"] == "Bearer kao_secret"
    assert request.headers["accept-language"] == "zh"


def test_an_upload_waits_for_its_check(tmp_path: Path) -> None:
    timeouts: list[dict[str, float]] = []

    def keep(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"])
        return httpx.Response(409, json={"title": "planted"})

    bundle = tmp_path / "model.zip"
    bundle.write_bytes(b"PK")
    for timeout, expected in ((60, 600), (900, 900)):
        transport = httpx.MockTransport(keep)
        with Client(URL, timeout=timeout, transport=transport) as kao, pytest.raises(Refused):
            kao.upload_model(bundle)
        assert (timeouts[-1]["read"], timeouts[-1]["connect"]) == (expected, timeout)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (1.0, "1"),
        (1e-5, "0.00001"),
        (1e20, "100000000000000000000"),
        (-1.3877787807814457e-16, "-0.00000000000000013877"),
        (np.float64(0.25), "0.25"),
        (3, "3"),
        ("a", "a"),
    ],
)
def test_numbers_are_written_as_the_server_reads_them(value: object, text: str) -> None:
    assert format_value(value) == text
