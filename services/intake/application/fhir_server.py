"""What the use cases ask of a FHIR server, and how its refusals read.

Invariant: every way in which a server may fail is a code with a patience of its own; whatever
exhausts it stands before a person, so nothing that was notified is given up in silence.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Protocol

from services.intake.application.subscription_ports import FhirFeed, Notification
from services.intake.domain.event_numbers import Span

#: half a day of an outage is bridged without anybody's doing; attempts are 5 s to 30 min apart
ATTEMPTS_MAX: Final = 30
#: a server that reads from a copy of its store may not know yet what it has just notified
LAGGING_ATTEMPTS_MAX: Final = 5
_FIRST_WAIT_SECONDS: Final = 5.0
_WAIT_SECONDS_MAX: Final = 1_800.0
_DOUBLINGS_MAX: Final = 16
#: codes that may pass by themselves; every other one goes to a person at once
_PASSING: Final[Mapping[str, int]] = {
    "unreachable": ATTEMPTS_MAX,
    "server-failed": ATTEMPTS_MAX,
    "server-busy": ATTEMPTS_MAX,
    "access-refused": ATTEMPTS_MAX,
    "record-busy": ATTEMPTS_MAX,
    "not-found": LAGGING_ATTEMPTS_MAX,
    "events-missing": LAGGING_ATTEMPTS_MAX,
}


class FetchError(Exception):
    """The server did not give what was asked. `place` names what was asked; never its content."""

    def __init__(self, code: str, place: str = "", *, wait: timedelta = timedelta()) -> None:
        super().__init__(code)
        self.code = code
        self.place = place
        self.wait = wait


def wait_after(error: FetchError, attempts: int) -> timedelta | None:
    """How long until the next attempt; None: a person has to look at it."""
    if attempts >= _PASSING.get(error.code, 0):
        return None
    seconds = _FIRST_WAIT_SECONDS * 2 ** min(max(attempts - 1, 0), _DOUBLINGS_MAX)
    return max(timedelta(seconds=min(seconds, _WAIT_SECONDS_MAX)), error.wait)


class FhirServer(Protocol):
    """Asks the one server of a feed. Each method raises `FetchError`."""

    async def resource(self, feed: FhirFeed, key: str) -> Mapping[str, Any]:
        """The present state of the resource that is called `Type/id`."""
        ...

    async def events(self, feed: FhirFeed, subscription: str, span: Span) -> Notification:
        """What the server remembers of the events of a span."""
        ...
