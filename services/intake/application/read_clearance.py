"""What may start now in a case, for the person who is about to press start.

Invariant: `may_start` is never true under an open hold, a verdict other than go, or while something
that a holder has said is not applied yet (a parked case has its hold). It promises nothing: only a
permit does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.intake.application.authority_ports import Authority, MayBeRunning, R
from services.intake.domain.holds import Hold
from services.intake.domain.permits import DecisionSeen
from shared.contracts.vocabulary import Gate, Verdict
from shared.messaging.unit_of_work import Cause
from shared.permits.clearance import HOLDER_OF, HOLDERS, ClearanceVersion


@dataclass(frozen=True, slots=True)
class GateSeen:
    """One gate: the protocol's answer and the open holds that cover all its doses or some."""

    decision: DecisionSeen
    hold_ids: tuple[UUID, ...]
    is_behind: bool

    @property
    def may_start(self) -> bool:
        """Whether a permit asked for now could be granted, as far as the case goes."""
        return self.decision.verdict is Verdict.GO and not self.hold_ids and not self.is_behind


@dataclass(frozen=True, slots=True)
class Clearance:
    """A case as it is at `at` (clinic's time). `behind`: services whose word is not applied yet."""

    case_id: UUID
    at: datetime
    view: ClearanceVersion
    gates: Mapping[Gate, GateSeen]
    holds: tuple[Hold, ...]
    may_be_running: tuple[MayBeRunning, ...]
    behind: tuple[str, ...]


async def read_clearance(authority: Authority[R], case_id: UUID, cause: Cause) -> Clearance | None:
    """The clearance, or None for no such case. It locks nothing."""
    async with authority.unit_of_work.begin(cause) as work:
        rows = work.rows.authority
        try:
            view = await rows.view(case_id)
        except LookupError:
            return None
        now = work.world.clock.now()
        holds = tuple(await rows.open_holds(case_id))
        behind = tuple(
            [
                holder.value
                for holder in HOLDERS
                if not await authority.streams.is_current(work.tx, holder, case_id)
            ]
        )
        gates = {}
        for gate in HOLDER_OF:
            decision = await authority.decide(work.tx, case_id, gate, now, None)
            covering = tuple(h.hold_id for h in holds if gate in h.scope.gates)
            gates[gate] = GateSeen(decision, covering, bool(behind))
        running = tuple(await rows.may_be_running(case_id))
    return Clearance(case_id, now, view, gates, holds, running, behind)
