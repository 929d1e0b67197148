"""The constants of the start permit, as settings: both sides must be given the same ones.

Invariant: the authority lets a permit lapse only when its holder can no longer answer GO on it,
whatever the two clocks drift apart (start permit, steps 3 and 8).
"""

from dataclasses import dataclass, fields
from typing import Final, Self

_NS_PER_MS: Final = 1_000_000
_NS_PER_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PermitTimes:
    """How long things of the permit protocol may take. Tests run them at a fraction."""

    #: a permit's life, counted by the holder from its request and by the authority from the grant
    ttl_seconds: float = 10.0
    #: a shorter window is refused: the person could not act in it
    ttl_min_seconds: float = 5.0
    #: transaction_timeout of the start; the time that a start keeps back for its COMMIT
    commit_bound_seconds: float = 2.0
    #: how far two lease clocks may run apart, as a fraction
    drift_fraction: float = 0.01
    #: what the authority waits on top of drift and commit bound
    margin_seconds: float = 2.0
    #: the one request for a permit; a lost answer is a permit that lapses
    ask_timeout_seconds: float = 3.0
    #: the best-effort calls between authority and holders
    tell_timeout_seconds: float = 0.3
    #: after `recover` nothing becomes effective merely because no permit is known
    recover_window_seconds: float = 15.0
    #: second belt: how far the wall clock may be past the permit's displayed end
    wall_clock_slack_seconds: float = 5.0
    #: a hold that is not acknowledged after this is paged (T_ack)
    acknowledge_within_seconds: float = 5.0
    #: a start that is to be stopped and is not after this is paged (T_stop)
    stop_within_seconds: float = 60.0
    #: the call to notification's pages
    page_timeout_seconds: float = 1.0
    #: between two tries to page
    page_retry_seconds: float = 5.0

    def scaled(self, factor: float) -> Self:
        """The same protocol, faster or slower; the drift is a ratio and stays."""
        scaled = {
            field.name: getattr(self, field.name) * factor
            for field in fields(self)
            if field.name != "drift_fraction"
        }
        return type(self)(**scaled, drift_fraction=self.drift_fraction)

    @property
    def ttl_ms(self) -> int:
        """The longest life of a permit."""
        return round(self.ttl_seconds * 1000)

    @property
    def ttl_ms_min(self) -> int:
        """The shortest life that is worth granting."""
        return round(self.ttl_min_seconds * 1000)

    @property
    def recover_window_ns(self) -> int:
        """How long after `recover` a hold needs everybody's acknowledgement."""
        return round(self.recover_window_seconds * _NS_PER_SECOND)

    def commit_start_before_ns(self, sent_ns: int, ttl_ms: int) -> int:
        """The lease clock reading at which a start transaction must not go on any more."""
        return self.answer_go_before_ns(sent_ns, ttl_ms) - round(
            self.commit_bound_seconds * _NS_PER_SECOND
        )

    def answer_go_before_ns(self, sent_ns: int, ttl_ms: int) -> int:
        """The lease clock reading at which GO must not be answered any more."""
        return sent_ns + ttl_ms * _NS_PER_MS

    def lapse_after_ms(self, ttl_ms: int) -> float:
        """How long after the grant the authority counts a permit as lapsed."""
        kept_back_seconds = self.commit_bound_seconds + self.margin_seconds
        return ttl_ms * (1 + self.drift_fraction) + kept_back_seconds * 1000

    def lapse_after_ns(self, ttl_ms: int) -> int:
        """The same in nanoseconds of the lease clock."""
        return round(self.lapse_after_ms(ttl_ms) * _NS_PER_MS)
