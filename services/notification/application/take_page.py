"""Takes a page that a service sends past the event stream, and raises a critical alert at once.

A page repeats what events will tell later; it joins the alert about the same hold. The same page
sent again (its sender retries until it is taken) is nothing new.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from services.notification.application.absorb_evidence import absorb_evidence
from services.notification.application.ports import AlertRows, Origin, Policy
from services.notification.domain.evidence import NO_CASE, Evidence, EvidenceKind
from services.notification.domain.heard import hold_key
from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import Work


class PageCause(StrEnum):
    """Why somebody must be paged."""

    UNACKNOWLEDGED = "unacknowledged"
    NOT_STOPPED = "not_stopped"
    UNPERMITTED_START = "unpermitted_start"
    OPERATIONS = "operations"


_KIND: Final = MappingProxyType(
    {
        PageCause.UNACKNOWLEDGED: EvidenceKind.PAGE_HOLD_UNACKNOWLEDGED,
        PageCause.NOT_STOPPED: EvidenceKind.PAGE_NOT_STOPPED,
        PageCause.UNPERMITTED_START: EvidenceKind.PAGE_UNPERMITTED_START,
        PageCause.OPERATIONS: EvidenceKind.PAGE_OPERATIONS,
    }
)


@dataclass(frozen=True, slots=True)
class Page:
    """What a service pages about. `case_id` None: the installation itself."""

    page_id: UUID
    case_id: UUID | None
    hold_id: UUID | None
    cause: PageCause
    code: str | None = None


async def take_page(
    policy: Policy, work: Work[AlertRows], page: Page, sender: Service
) -> UUID | None:
    """The alert that the page raised or joined; None when the page was taken before."""
    case_id = NO_CASE if page.case_id is None else page.case_id
    await work.rows.lock_case(case_id)
    kind = _KIND[page.cause]
    evidence = Evidence(
        case_id=case_id,
        kind=kind,
        subject=f"{kind.value}:{page.hold_id or page.page_id}",
        chain=work.cause.correlation_id,
        occurred_at=work.world.clock.now(),
        keys=frozenset() if page.hold_id is None else frozenset({hold_key(page.hold_id)}),
        detail={} if page.code is None else {"reason": page.code},
    )
    changed = await absorb_evidence(policy, work, evidence, Origin(page.page_id, sender))
    return changed[0].file.alert_id if changed else None
