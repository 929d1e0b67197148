"""How a file is sent to a running intake as another system would send it: MLLP or a notification.

Invariant: what is told is what the service answered. Without an answer nothing is claimed: whether
it was recorded is unknown, and sending it again changes nothing.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import httpx

ANSWER_SECONDS_MAX: Final = 60.0
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
_START, _END = b"\x0b", b"\x1c\r"
_ACCEPTED: Final = frozenset({"AA", "CA"})
_UNAVAILABLE: Final = frozenset({429, 502, 503, 504})
_UNKNOWN_SENDER: Final = frozenset({401, 403})
_OK: Final = 200


class NoAnswerError(Exception):
    """Nobody answered; whether anything was recorded is unknown."""


class UnknownSenderError(Exception):
    """The service does not take anything from this sender."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the service said of one message."""

    accepted: bool
    answer: str
    about: str
    problems: tuple[str, ...] = ()


class Line(Protocol):
    """A way to a feed."""

    def send(self, raw: bytes) -> Told:
        """The answer to one message. Raises `NoAnswerError`, `UnknownSenderError`."""
        ...


@dataclass(frozen=True, slots=True)
class MllpLine:
    """HL7 v2 to a port; one connection for each message, so that a cut-off one spoils no other."""

    host: str
    port: int
    seconds_max: float = ANSWER_SECONDS_MAX

    def send(self, raw: bytes) -> Told:
        """See `Line`."""
        try:
            with socket.create_connection((self.host, self.port), self.seconds_max) as line:
                line.sendall(_START + raw + _END)
                return acknowledgment(_framed(line))
        except OSError as error:
            raise NoAnswerError(f"{self.host}:{self.port}: {type(error).__name__}") from error


def _framed(line: socket.socket) -> bytes:
    found = bytearray()
    while not found.endswith(_END):
        chunk = line.recv(65_536)
        if not chunk or len(found) > ANSWER_BYTES_MAX:
            raise NoAnswerError("the connection was closed without an answer")
        found += chunk
    return bytes(found).removesuffix(_END).rpartition(_START)[2]


def acknowledgment(raw: bytes) -> Told:
    """What an ACK says: MSA-1, MSA-2 and its ERR segments. Raises `NoAnswerError` for no ACK."""
    segments = [line for line in raw.decode("utf-8", "replace").split("\r") if line]
    mark = segments[0][3:4] if segments and segments[0].startswith("MSH") else ""
    said = next((s.split(mark) for s in segments if mark and s.startswith("MSA" + mark)), [])
    if len(said) < 3:  # noqa: PLR2004 - MSA-2
        raise NoAnswerError("the answer is no acknowledgment")
    errors = [s.split(mark) for s in segments if s.startswith("ERR" + mark)]
    return Told(said[1] in _ACCEPTED, said[1], said[2], tuple(map(_error, errors)))


def _error(fields: list[str]) -> str:
    place, severity, words = (fields[n] if len(fields) > n else "" for n in (2, 4, 8))
    return f"{severity} {place}: {words}"


@dataclass(frozen=True, slots=True)
class NotificationLine:
    """FHIR notifications to intake, with the feed's own secret."""

    url: str
    feed: str
    secret: str

    def send(self, raw: bytes) -> Told:
        """See `Line`."""
        headers = {
            "authorization": f"Bearer {self.secret}",
            "content-type": "application/fhir+json",
        }
        address = f"{self.url}/fhir/notifications/{self.feed}"
        try:
            with httpx.Client(timeout=ANSWER_SECONDS_MAX, trust_env=False) as client:
                answer = client.post(address, content=raw, headers=headers)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise NoAnswerError(f"{self.url}: {type(error).__name__}") from error
        return _noted(answer)


def _noted(answer: httpx.Response) -> Told:
    is_json = "json" in answer.headers.get("content-type", "")
    said = answer.json() if is_json else {}
    if answer.status_code in _UNAVAILABLE:
        raise NoAnswerError(str(said.get("title", answer.status_code)))
    if answer.status_code in _UNKNOWN_SENDER:
        raise UnknownSenderError(str(said.get("title", answer.status_code)))
    if answer.status_code != _OK:
        problems = tuple(_problems(said))
        return Told(False, str(said.get("code", answer.status_code)), "", problems)
    about = f"{said['subscription']}, {said['fetches']} to fetch, {said['gaps']} gaps"
    return Told(True, said["outcome"], about)


def _problems(said: dict[str, list[dict[str, str]]]) -> Iterator[str]:
    for error in said.get("errors") or ():
        yield f"{error.get('pointer')}: {error.get('detail')}"
