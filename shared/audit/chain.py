"""One audit entry per state change, in the same transaction, chained by hashes.

hash = SHA-256(previous hash || canonical JSON of the entry). There is a chain per case (its row is
locked by the change anyway, so chains never contend) and one per service for what concerns no
case. Entries carry ids, codes and numbers; no clinical value, name or free text but the reason
that the acting person gave.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from shared.persistence.database import Tx
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("shared.audit")
#: the chain of actions that concern no case
CASELESS: Final = "service"
GENESIS: Final = bytes(32)

Value = str | int | bool | None


def chain_of(case_id: UUID | None) -> str:
    """The name of the chain that an entry belongs to."""
    return CASELESS if case_id is None else f"case:{case_id}"


def canonical(document: Mapping[str, object]) -> str:
    """The one way to write a document: sorted names, no white space, no floats (as RFC 8785)."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


async def append(
    tx: Tx,
    case_id: UUID | None,
    action: str,
    actor: str,
    reason: str | None,
    detail: Mapping[str, Value],
    at: datetime,
) -> None:
    """Adds an entry to its chain; it is there exactly when the transaction commits.

    `action` is the past-tense name of the change (`hold-recorded`), `actor` the subject of the
    token or `service:<name>`, `at` machine time. The case is locked by the caller.
    """
    instant = at.astimezone(UTC)
    chain = chain_of(case_id)
    body = canonical(
        {
            "action": action,
            "actor": actor,
            "at": instant.isoformat(),
            "chain": chain,
            "detail": dict(detail),
            "reason": reason,
        }
    )
    await tx.row(STATEMENTS["append_audit_entry"], chain, body, case_id, action, instant)
