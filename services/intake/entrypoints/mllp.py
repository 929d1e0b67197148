"""HL7 v2 over MLLP: a frame in, an answer out, one after the other on each connection.

Invariants: an answer is sent when the message's transaction has committed, never before; where the
store cannot say so the connection is closed without an answer, and the sender sends again. Listens
beyond loopback only where a person said so.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from services.intake.application.incoming_messages import Profile
from services.intake.application.receive_message import Feeds, Received, receive_message
from services.intake.entrypoints.hl7_answers import answers
from shared.persistence.database import StoreError

_LOG = logging.getLogger(__name__)
_START, _END = b"\x0b", b"\x1c\r"
FRAME_BYTES_MAX: Final = 4 * 1024 * 1024 + 64
"""Largest frame: the largest message that is read, and a little noise before it."""
IDLE_SECONDS_MAX: Final = 600.0
"""A sender that says nothing for this long has gone away without saying so."""
CONNECTIONS_MAX: Final = 20
"""Most senders at one time; an interface engine needs one connection, rarely a few."""


class BindError(ValueError):
    """The address is not of this machine alone, and nobody allowed that."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where and within which limits a feed listens. Port 0: a free one."""

    profile: Profile
    host: str = "127.0.0.1"
    port: int = 0
    beyond_loopback: bool = False
    frame_bytes_max: int = FRAME_BYTES_MAX
    idle_seconds_max: float = IDLE_SECONDS_MAX
    connections_max: int = CONNECTIONS_MAX

    def __post_init__(self) -> None:
        """Raises `BindError` for an address that others reach, unless that is allowed."""
        if not self.beyond_loopback and not _is_loopback(self.host):
            raise BindError(f"{self.host} is reached from other machines: allow it explicitly")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class MllpServer:
    """Serves one feed until it is stopped."""

    def __init__(self, feeds: Feeds, listening: Listening) -> None:
        self._feeds = feeds
        self._listening = listening
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        """The port it listens at."""
        at = self._listening
        self._server = await asyncio.start_server(
            self._connected, at.host, at.port, limit=at.frame_bytes_max
        )
        port = int(self._server.sockets[0].getsockname()[1])
        _LOG.info("feed_listens", extra={"source": at.profile.feed, "port": port})
        return port

    async def run(self) -> None:
        """Serves until cancelled."""
        await self.start()
        try:
            await asyncio.Event().wait()
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Takes no more; a message whose transaction is open is answered or not answered at all."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= self._listening.connections_max:
            _LOG.warning("feed_full", extra={"source": self._listening.profile.feed})
            writer.close()
            return
        self._open.add(task)
        try:
            await self._serve(reader, writer)
        finally:
            self._open.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        feed = self._listening.profile.feed
        while True:
            try:
                raw = await self._frame(reader)
                if raw is None:
                    return
                for answer in await self._answers(raw):
                    writer.write(_START + answer + _END)
                await writer.drain()
            except (asyncio.LimitOverrunError, TimeoutError, StoreError, OSError) as error:
                _LOG.warning("feed_cut_off", extra={"source": feed, "error": type(error).__name__})
                return

    async def _frame(self, reader: asyncio.StreamReader) -> bytes | None:
        """The next message, None at the end of the connection or for bytes that are no frame."""
        try:
            async with asyncio.timeout(self._listening.idle_seconds_max):
                framed = await reader.readuntil(_END)
        except asyncio.IncompleteReadError:
            return None  # the rest of a frame that was cut off is no message
        _, start, raw = framed.removesuffix(_END).rpartition(_START)
        return raw if start else None

    async def _answers(self, raw: bytes) -> Sequence[bytes]:
        received: Received = await receive_message(self._feeds, self._listening.profile, raw)
        _LOG.info(
            "message_received",
            extra={"source": self._listening.profile.feed, "outcome": received.outcome},
        )
        world = self._feeds.unit_of_work.world
        return answers(received, now=world.clock.now(), control_id=world.ids.new().hex[:20])
