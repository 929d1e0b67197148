"""What became of statements that do not count: information, so that nothing vanishes unseen.

Invariant: these findings never block; where such a statement leaves something unknown, the rule
that needs it says so itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from shared.protocol.clinic_time import Moment
from shared.protocol.findings import Effect, FactRef, Finding
from shared.protocol.rules.check import Case, Check

RECORD = "record"
"""The episode of findings about the record itself, not about the patient."""
_SHOWN_MAX = 20
"""Most fact ids that one finding lists; the record holds them all."""


def data_checks(case: Case) -> Iterator[Check]:
    """Yield information about withdrawn, late and repeated statements."""
    found = case.record.resolved
    for rule, sentence, names in (
        ("DATA-001", "data.in_error", [fact.id for fact in found.in_error]),
        ("DATA-004", "data.late", found.late),
        ("DATA-005", "data.duplicate", found.duplicates),
    ):
        if names:
            yield _information(case, rule, sentence, sorted(set(names)))


def _information(case: Case, rule: str, sentence: str, names: Sequence[str]) -> Check:
    made = case.finding(
        case.protocol.rules[rule],
        sentence,
        episode=RECORD,
        effect=Effect.INFO,
        count=len(names),
    )
    finding = replace(made, uses=tuple(FactRef(name) for name in names[:_SHOWN_MAX]))

    def find(_: Moment) -> Sequence[Finding]:
        return (finding,)

    return Check(find)
