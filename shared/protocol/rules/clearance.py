"""What new facts do to a clearance and to the oncologist's acknowledgement.

Invariant: these rules look at the findings of all others at the same moment; they add findings and
take none away.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from shared.protocol.clinic_time import Moment
from shared.protocol.facts import Clearance, Evidence, PlanChange
from shared.protocol.findings import Effect, Finding, FindingKind, Need
from shared.protocol.resolution import known_at
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.data_quality import RECORD
from shared.protocol.rules.items import item_statements
from shared.protocol.rules.washout import RowState, row_states

ACKNOWLEDGEMENT = "oncology_plan_ack"


def plan_change_checks(case: Case) -> Iterator[Check]:
    """Yield CLR-004: a change of the oncology plan for the worse, not acknowledged since."""
    changes = case.record.all(PlanChange)
    if not changes or not row_states(case, changes):
        return
    acknowledged = _acknowledged_at(case)
    unseen = [c for c in changes if _is_unseen(case, c, acknowledged)]
    if not unseen:
        return
    seen = [c for c in changes if c not in unseen]
    after = {s.row.rule.id: s for s in row_states(case, changes)}
    before = {s.row.rule.id: s for s in row_states(case, seen)}
    rows = [(before.get(name), after[name]) for name in after]
    days = {day for _, state in rows for day in state.edges()}
    days |= {day for state, _ in rows if state is not None for day in state.edges()}
    yield Check(_PlanCheck(case, tuple(unseen), rows), frozenset(days))


def _acknowledged_at(case: Case) -> datetime | None:
    item = case.protocol.item(ACKNOWLEDGEMENT)
    times = [
        case.time.earliest(stated.effective)
        for stated in item_statements(case.record, item)
        if isinstance(stated, Evidence) and stated.effective is not None and not stated.withdrawn
    ]
    return max(times, default=None)


def _is_unseen(case: Case, change: PlanChange, acknowledged: datetime | None) -> bool:
    return acknowledged is None or known_at(change, case.time) > acknowledged


class _PlanCheck:
    """Fires while a row has fewer free days, before or after, than without the change."""

    __slots__ = ("_case", "_changes", "_rows")

    def __init__(
        self,
        case: Case,
        changes: tuple[PlanChange, ...],
        rows: list[tuple[RowState | None, RowState]],
    ) -> None:
        self._case = case
        self._changes = changes
        self._rows = rows

    def __call__(self, at: Moment) -> Sequence[Finding]:
        worse = [after for before, after in self._rows if _is_worse(before, after, at)]
        if not worse:
            return ()
        item = self._case.protocol.item(ACKNOWLEDGEMENT)
        return (
            self._case.finding(
                self._case.protocol.rules["CLR-004"],
                "plan.changed",
                episode=self._changes[-1].id,
                uses=self._changes,
                effect=Effect.HOLD,
                kind=FindingKind.MISSING,
                needs=(Need(item.name, item.owner, data_rule=None),),
                treatment=self._case.protocol.sentences.word(worse[0].row.treatment_class),
            ),
        )


def _is_worse(before: RowState | None, after: RowState, at: Moment) -> bool:
    if not (after.min_days or after.lead_days):
        return False
    elapsed = after.elapsed_days(at.day) if after.min_days else None
    lead = after.lead(at.day) if after.lead_days else None
    if before is None:
        return elapsed is not None or lead is not None
    return _is_fewer(elapsed, before.elapsed_days(at.day)) or _is_fewer(lead, before.lead(at.day))


def _is_fewer(days: int | None, before: int | None) -> bool:
    return days is not None and (before is None or days < before)


def last_clearance(case: Case, at: Moment) -> Clearance | None:
    """Return the newest clearance that was issued for the gate by the moment."""
    issued = [
        clearance
        for clearance in case.record.all(Clearance)
        if clearance.gate == case.gate and clearance.issued_at <= at.instant
    ]
    return max(issued, key=lambda c: (c.issued_at, c.version, c.id), default=None)


def clearance_edges(case: Case) -> Iterator[datetime]:
    """Yield the instants at which clearances were issued."""
    for clearance in case.record.all(Clearance):
        yield clearance.issued_at


def revocations(case: Case, at: Moment, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield DATA-002 and CLR-002: something learnt since the clearance blocks the gate now."""
    clearance = last_clearance(case, at)
    corrected = case.record.resolved.corrected
    if clearance is None:
        yield from _corrections(case, findings)
        return
    fresh = [f for f in findings if f.blocks and _is_since(f, clearance)]
    reversing = sorted(
        {ref.id for f in fresh for ref in f.uses if _is_later(corrected.get(ref.id), clearance)}
    )
    if reversing:
        yield _about(case, "DATA-002", "data.corrected.reverses", fresh, clearance, reversing)
    else:
        yield from _corrections(case, findings)
    if fresh:
        yield _about(case, "CLR-002", "clearance.revoked", fresh, clearance, None)


def _is_since(finding: Finding, clearance: Clearance) -> bool:
    return any(
        ref.recorded is not None and ref.recorded > clearance.issued_at for ref in finding.uses
    )


def _is_later(corrected: datetime | None, clearance: Clearance) -> bool:
    return corrected is not None and corrected > clearance.issued_at


def _about(
    case: Case,
    rule: str,
    sentence: str,
    fresh: Sequence[Finding],
    clearance: Clearance,
    only: Sequence[str] | None,
) -> Finding:
    uses = {ref.id: ref for f in fresh for ref in f.uses if _is_since(f, clearance)}
    names = sorted(uses) if only is None else only
    made = case.finding(
        case.protocol.rules[rule],
        sentence,
        episode=f"clearance:{clearance.version}",
        uses=(clearance,),
        effect=Effect.HOLD,
        since=clearance.issued_at,
        rules=", ".join(dict.fromkeys(f.rule for f in fresh)),
        facts=", ".join(names),
        clearance=clearance.version,
    )
    return made


def _corrections(case: Case, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield DATA-002 as information about corrected facts that findings rest on."""
    about_patient = [f for f in findings if f.episode != RECORD]
    used = {ref.id for finding in about_patient for ref in finding.uses}
    names = sorted(used & set(case.record.resolved.corrected))
    if names:
        yield case.finding(
            case.protocol.rules["DATA-002"],
            "data.corrected",
            episode=RECORD,
            effect=Effect.INFO,
            facts=", ".join(names),
        )
