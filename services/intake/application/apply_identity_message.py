"""What a registration system says of identities becomes a change that waits for two people."""

from datetime import datetime

from services.intake.application.incoming_messages import IdentityChange as Sent
from services.intake.application.merge_identity import merge_identity
from services.intake.application.ports import IntakeRows
from services.intake.application.unmerge_identity import NotMergedError, unmerge_identity
from services.intake.domain.identity import ChangeKind, IdentityChange
from shared.messaging.unit_of_work import Work


async def apply_identity_message(work: Work[IntakeRows], change: Sent) -> bool:
    """True when the records are held until it is decided, or nothing has to be.

    False for records that were never merged here. Raises `RetryableError`: then the sender gets no
    answer and sends it again.
    """
    told = IdentityChange(
        kind=ChangeKind(change.kind),
        surviving=change.surviving,
        retired=change.retired,
        source=change.source,
        at=datetime.fromisoformat(change.at) if change.at else work.world.clock.now(),
    )
    if told.kind is not ChangeKind.UNMERGE:
        await merge_identity(work, told)
        return True
    try:
        await unmerge_identity(work, told)
    except NotMergedError:
        return False
    return True
