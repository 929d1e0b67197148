"""A client that keeps some connections busy: one request after the other on each, for a while."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

from bench.child import Command, Order

CONNECTIONS: Final = 16
_SUCCESS: Final = frozenset({b"200", b"201", b"202"})
_LENGTH: Final = b"content-length: "


class RefusedError(RuntimeError):
    """The server has not done what it was asked for."""


@asynccontextmanager
async def client(order: Order) -> AsyncIterator[Mapping[str, Command]]:
    """Asks the server at the order's address."""

    async def drive(requests: Sequence[str], seconds: float) -> float:
        """Requests per second, all successful. The requests go round."""
        encoded = [request.encode() for request in requests]
        until = time.perf_counter() + seconds
        numbers = count()
        began = time.perf_counter()
        done = await asyncio.gather(
            *(_ask(order, encoded, numbers, until) for _ in range(CONNECTIONS))
        )
        return sum(done) / (time.perf_counter() - began)

    yield {"drive": drive}


async def _ask(order: Order, requests: Sequence[bytes], numbers: "count[int]", until: float) -> int:
    reader, writer = await asyncio.open_connection(order["host"], int(order["port"]))
    done = 0
    try:
        while time.perf_counter() < until:
            writer.write(requests[next(numbers) % len(requests)])
            await _answer(reader)
            done += 1
    finally:
        writer.close()
    return done


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0]
    body = await reader.readexactly(int(length))
    if head.split(b" ", 2)[1] not in _SUCCESS:
        raise RefusedError((head.split(b"\r\n")[0] + body[:300]).decode(errors="replace"))


def request(path: str, body: bytes, headers: Mapping[str, str]) -> str:
    """A POST of JSON as it goes over the wire."""
    lines = [
        f"POST {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json",
        f"content-length: {len(body)}", *(f"{name}: {value}" for name, value in headers.items()),
    ]  # fmt: skip
    return "\r\n".join(lines) + "\r\n\r\n" + body.decode()
