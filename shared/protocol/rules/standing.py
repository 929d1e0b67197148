"""Whether the protocol itself may let a step start: a version that is not signed for use may not.

Planning goes on, so that a version can be tried before it is signed; what is due is the signature.
"""

from collections.abc import Iterator, Sequence

from shared.protocol.clinic_time import Moment
from shared.protocol.findings import Effect, Finding, FindingKind, Need
from shared.protocol.loader import Protocol
from shared.protocol.rules.check import Case, Check

NOT_IN_FORCE = "DATA-012"
SIGNATURE = "protocol_signature"


def can_be_closed(protocol: Protocol) -> bool:
    """True when the rulebook has the rule and the item by which it can be out of force."""
    return NOT_IN_FORCE in protocol.rules and SIGNATURE in protocol.tables.items


def standing_checks(case: Case) -> Iterator[Check]:
    """Yield what keeps every gate shut under a protocol that is not in force."""
    protocol = case.protocol
    if protocol.is_in_force:
        return
    made = case.finding(
        protocol.rules[NOT_IN_FORCE],
        "data.not_in_force",
        episode="protocol",
        effect=Effect.HOLD,
        kind=FindingKind.MISSING,
        needs=(Need(SIGNATURE, protocol.item(SIGNATURE).owner),),
        version=protocol.version,
    )

    def find(_: Moment) -> Sequence[Finding]:
        return (made,)

    yield Check(find)
