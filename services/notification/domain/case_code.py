"""How a message names what it is about: a case by its code, or the system."""

from uuid import UUID

from services.notification.domain.evidence import NO_CASE
from shared.contracts import case_code as contract


def case_code(case_id: UUID) -> str:
    """The code of a case; `SYSTEM` for what belongs to no case."""
    return "SYSTEM" if case_id == NO_CASE else contract.case_code(case_id)
