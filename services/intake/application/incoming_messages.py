"""What a message of a feed brings, as the use cases see it; the reader stands behind `ReadMessage`.

Invariant: a message with problems states nothing; otherwise each of its segments has one line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

Identifiers = tuple[tuple[str, str], ...]
"""(system, value), in the order in which they were sent."""


@dataclass(frozen=True, slots=True)
class IdentityChange:
    """The sender merged, separated or renamed patients; what follows is decided elsewhere."""

    kind: Literal["merge", "unmerge", "change"]
    surviving: Identifiers
    retired: Identifiers
    source: str
    at: str


@dataclass(frozen=True, slots=True)
class SegmentLine:
    """What became of one segment. `place` is the field that decided, as `OBX[2]-5`."""

    segment: str
    outcome: Literal["used", "ignored", "rejected"]
    reason: str
    message: str
    place: str
    statements: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MessageProblem:
    """Why the whole message is refused. `for_good`: the same bytes can never be accepted."""

    code: str
    message: str
    place: str = ""
    for_good: bool = False


@dataclass(frozen=True, slots=True)
class Header:
    """What an answer has to repeat of MSH, and what sender and receiver are called.

    Each party is (application, facility) as written, so that it can be written back.
    """

    separators: str = "|^~\\&"
    sender: tuple[str, str] = ("", "")
    receiver: tuple[str, str] = ("", "")
    kind: str = ""
    event: str = ""
    control_id: str = ""
    processing: str = ""
    version: str = ""
    sent: str = ""
    accept_when: str = ""
    answer_when: str = ""


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message that was read. With problems, nothing of it may be recorded.

    `identifiers` are the patient's. `digest` names the exact bytes.
    """

    digest: str
    header: Header = field(default_factory=Header)
    identifiers: Identifiers = ()
    statements: Sequence[Mapping[str, Any]] = ()
    report: Sequence[SegmentLine] = ()
    problems: Sequence[MessageProblem] = ()
    identity_changes: Sequence[IdentityChange] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many segments were used, ignored and rejected."""
        outcomes = [line.outcome for line in self.report]
        return {word: outcomes.count(word) for word in ("used", "ignored", "rejected")}


@dataclass(frozen=True, slots=True)
class Profile:
    """How one feed's messages are read.

    `systems` maps assigning authorities to identifier systems; `charset` is for messages that name
    none and are not UTF-8; `processing` are the values of MSH-11 that are about real patients here.
    """

    feed: str
    systems: Mapping[str, str] = field(default_factory=dict)
    charset: str = "latin-1"
    processing: frozenset[str] = frozenset({"P"})


class ReadMessage(Protocol):
    """Reads the bytes of one message."""

    def __call__(self, raw: bytes, profile: Profile, received_at: datetime) -> IncomingMessage:
        """What the message brings; never raises for bad input."""
        ...
