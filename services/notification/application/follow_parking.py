"""Tells people when notification itself cannot process an event of a case, and when it can again.

Other services' parking is heard by event; notification's own is not (it does not read its own
topic), so the consumer kernel calls this in the transaction that parks or unparks.
"""

from uuid import UUID

from services.notification.application.absorb_evidence import absorb_evidence
from services.notification.application.ports import AlertRows, Origin, Policy
from services.notification.domain.evidence import Evidence, EvidenceKind
from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import Work

_KEY = f"parked:{Service.NOTIFICATION.value}"


async def tell_parked(policy: Policy, work: Work[AlertRows], case_id: UUID) -> None:
    """Raises the alert of a case that was parked here."""
    await _tell(policy, work, case_id, EvidenceKind.CASE_PARKED)


async def tell_unparked(policy: Policy, work: Work[AlertRows], case_id: UUID) -> None:
    """Closes it."""
    await _tell(policy, work, case_id, EvidenceKind.CASE_UNPARKED)


async def _tell(policy: Policy, work: Work[AlertRows], case_id: UUID, kind: EvidenceKind) -> None:
    parked = kind is EvidenceKind.CASE_PARKED
    now = work.world.clock.now()
    evidence = Evidence(
        case_id=case_id,
        kind=kind,
        subject=f"{kind.value}:{Service.NOTIFICATION.value}:{now.isoformat()}",
        chain=work.cause.correlation_id,
        occurred_at=now,
        keys=frozenset({_KEY}),
        lasts_until=_KEY if parked else None,
        resolves=None if parked else _KEY,
        detail={"consumer": Service.NOTIFICATION.value},
    )
    await absorb_evidence(policy, work, evidence, Origin(None, Service.NOTIFICATION))
