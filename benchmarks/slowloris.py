"""How long clients wait for faces beside a thousand half-open connections.

Eight clients request new faces at a pace that is a third of what a core can draw: on a quiet
server, then while 1,000 others have begun a request, send another header line a second and never
end it. A client that is cut off reconnects at once. The last line ends in how many times longer the
slowest hundredth waits.
"""

import asyncio
import contextlib
import time

from harness import SECONDS, Server, cores, kao, on_core

HALF_OPEN, CLIENTS = 1000, 8
PACE = 0.08  # s between two requests of a client: 100 faces a second in all
REQUEST_START, LINE = b"GET /avatar HTTP/1.1\r\nHost: kao\r\n", b"X-Slow: loris\r\n"


async def half_open(port: int) -> None:
    """Begin a request, and begin again when cut off."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(REQUEST_START)
            while not reader.at_eof() and not writer.is_closing():
                await asyncio.sleep(1)
                writer.write(LINE)
            writer.transport.abort()


async def client(port: int, name: str, seconds: float, times: list[float]) -> None:
    """Send requests over one connection; milliseconds to the last byte of each answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    deadline = time.monotonic() + seconds
    while (start := time.monotonic()) < deadline:
        seed = f"{name}-{len(times)}"
        writer.write(f"GET /avatar?seed={seed} HTTP/1.1\r\nHost: kao\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200"), head
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        now = time.monotonic()
        times.append((now - start) * 1e3)
        await asyncio.sleep(max(0.0, PACE - (now - start)))
    writer.close()


async def ask(server: Server, label: str, seconds: float) -> list[float]:
    """All clients at once; the sorted milliseconds."""
    times: list[float] = []
    names = [f"{label}-{number}" for number in range(CLIENTS)]
    await asyncio.gather(*(client(server.port, name, seconds, times) for name in names))
    return sorted(times)


async def ask_under_attack(server: Server, seconds: float) -> list[float]:
    """The same beside the half-open connections."""
    attackers = [asyncio.ensure_future(half_open(server.port)) for _ in range(HALF_OPEN)]
    await asyncio.sleep(2)
    try:
        return await ask(server, "attacked", seconds)
    finally:
        for attacker in attackers:
            attacker.cancel()


def p99(times: list[float]) -> float:
    """Milliseconds."""
    return times[int(len(times) * 0.99)]


def print_times(label: str, times: list[float]) -> None:
    """Print one line."""
    middle = times[len(times) // 2]
    print(
        f"{label:34} {len(times):6,} faces   p50 {middle:.1f}  p99 {p99(times):.1f} ms", flush=True
    )


def main() -> None:
    """Measure both and print the ratio."""
    with kao() as server, on_core(cores()[1]):
        asyncio.run(ask(server, "warm", 2))
        quiet = asyncio.run(ask(server, "quiet", SECONDS))
        print_times("quiet", quiet)
        slow = asyncio.run(
            ask_under_attack(server, max(SECONDS, 15))
        )  # longer than the first deadline
        print_times(f"{HALF_OPEN:,} half-open connections", slow)
    print(f"\np99 with them over p99 without: {p99(slow) / p99(quiet):.2f}")


if __name__ == "__main__":
    main()
