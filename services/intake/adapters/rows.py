"""Intake's repository: all its tables over one transaction."""

from dataclasses import dataclass

from services.intake.adapters.authority import AuthorityStore
from services.intake.adapters.cds import PostgresCdsRows
from services.intake.adapters.protocols import PostgresProtocolRows
from services.intake.adapters.record import PostgresRecordRows
from services.intake.adapters.sources import PostgresSourceRows
from shared.persistence.database import Tx


@dataclass(frozen=True, slots=True)
class PostgresIntakeRows:
    """`IntakeRows` over one transaction."""

    authority: AuthorityStore
    record: PostgresRecordRows
    cds: PostgresCdsRows
    protocols: PostgresProtocolRows
    sources: PostgresSourceRows


def intake_rows(tx: Tx) -> PostgresIntakeRows:
    """The repository over `tx`."""
    return PostgresIntakeRows(
        AuthorityStore(tx),
        PostgresRecordRows(tx),
        PostgresCdsRows(tx),
        PostgresProtocolRows(tx),
        PostgresSourceRows(tx),
    )
