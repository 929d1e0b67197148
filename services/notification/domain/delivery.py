"""How messages leave: which alerts send one, under which id, and when a failed one is tried again.

Pure. Invariant: a message's id follows from alert, version, step and channel alone, so that every
attempt to send it carries the same Message-ID and a receiving server can tell a repetition.
"""

from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from services.notification.domain.levels import Level
from shared.contracts.event import derived_id

Channel = Literal["email", "in_app"]

#: attempts after which a message counts as not delivered; with the delays below about ten minutes,
#: after which the escalation step and the fallback are the better road
ATTEMPTS_MAX: Final = 15
DELAY_SECONDS_MAX: Final = 60.0
#: a message that has waited so long is shown as not delivered while attempts go on
SHOWN_AS_FAILED_AFTER_SECONDS: Final = 45.0


def sends_email(level: Level) -> bool:
    """Whether the level interrupts people. Information waits in the app (later: in a digest)."""
    return level is not Level.L1


def delivery_id(alert_id: UUID, version: int, step: int, channel: Channel) -> UUID:
    """The id of the one message per alert version, escalation step and channel."""
    return derived_id(alert_id, f"delivery:{version}:{step}:{channel}")


def message_id(delivery: UUID, domain: str) -> str:
    """The Message-ID header of every attempt to send this message."""
    return f"<{delivery}@{domain}>"


def retry_after_seconds(attempt: int, chance: float) -> float:
    """How long after the failed attempt `attempt` (1 = the first) the next one is due.

    Doubles from one second up to a minute; `chance` in [0, 1) spreads it by a quarter either way.
    """
    return min(2.0 ** (attempt - 1), DELAY_SECONDS_MAX) * (0.75 + 0.5 * chance)


@dataclass(frozen=True, slots=True)
class MailOutcome:
    """What the mail server said of one attempt. Addresses in none of the sets were accepted.

    `code` is a word of ours (`connection`, `timeout`, `refused`, …), never the server's text.
    """

    later: frozenset[str]
    never: frozenset[str]
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What an attempt leaves behind: who still waits, and whether another attempt follows."""

    state: Literal["sent", "queued", "failed"]
    remaining: tuple[str, ...]
    outcome: str


def settle(addresses: tuple[str, ...], outcome: MailOutcome, attempt: int) -> Settled:
    """The state of a message after an attempt to send it to `addresses`.

    One who is refused for good does not keep the others waiting; the message is `sent` when
    somebody got it and nobody can get it any more by trying again.
    """
    later = tuple(a for a in addresses if a in outcome.later)
    never = tuple(a for a in addresses if a in outcome.never)
    reached = len(later) + len(never) < len(addresses)
    code = outcome.code or ("refused" if never else "accepted")
    if later and attempt < ATTEMPTS_MAX:
        return Settled("queued", later + never, code)
    if reached:
        return Settled("sent", later + never, code)
    return Settled("failed", later + never, code)
