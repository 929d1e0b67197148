"""The short code by which messages name a case; without a sign-in it tells nothing."""

import base64
import hashlib
from typing import Final
from uuid import UUID

#: 40 bits: two of ten thousand cases share a code once in twenty thousand installations
_LENGTH: Final = 8


def case_code(case_id: UUID) -> str:
    """The code of a case, `XXXX-XXXX`.

    It is a digest, because the first digits of a time-ordered id would tell when it was made.
    """
    digest = hashlib.sha256(case_id.bytes).digest()
    text = base64.b32encode(digest).decode()[:_LENGTH]
    return f"{text[:4]}-{text[4:]}"
