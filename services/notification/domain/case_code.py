"""The short code by which a message names a case: it tells nothing to whoever cannot sign in."""

import base64
import hashlib
from typing import Final
from uuid import UUID

from services.notification.domain.evidence import NO_CASE

#: 40 bits: two of ten thousand cases share a code once in twenty thousand installations
_LENGTH: Final = 8


def case_code(case_id: UUID) -> str:
    """The code of a case, `XXXX-XXXX`; `SYSTEM` for what belongs to no case.

    It is a digest, because the first digits of a time-ordered id would tell when it was made.
    """
    if case_id == NO_CASE:
        return "SYSTEM"
    digest = hashlib.sha256(case_id.bytes).digest()
    text = base64.b32encode(digest).decode()[:_LENGTH]
    return f"{text[:4]}-{text[4:]}"
