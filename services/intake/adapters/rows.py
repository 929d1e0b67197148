"""Intake's repository: all its tables over one transaction."""

from dataclasses import dataclass

from services.intake.adapters.authority import AuthorityStore
from services.intake.adapters.cds import PostgresCdsRows
from services.intake.adapters.entries import PostgresEntryRows
from services.intake.adapters.feeds import PostgresFeedRows
from services.intake.adapters.identity import PostgresIdentityRows
from services.intake.adapters.information import PostgresInformationRows
from services.intake.adapters.protocols import PostgresProtocolRows
from services.intake.adapters.record import PostgresRecordRows
from services.intake.adapters.shadow import PostgresShadowRows
from services.intake.adapters.sources import PostgresSourceRows
from services.intake.adapters.subscriptions import PostgresSubscriptionRows
from shared.persistence.database import Tx


@dataclass(frozen=True, slots=True)
class PostgresIntakeRows:
    """`IntakeRows` over one transaction."""

    authority: AuthorityStore
    record: PostgresRecordRows
    cds: PostgresCdsRows
    protocols: PostgresProtocolRows
    entries: PostgresEntryRows
    information: PostgresInformationRows
    identity: PostgresIdentityRows
    feeds: PostgresFeedRows
    sources: PostgresSourceRows
    subscriptions: PostgresSubscriptionRows
    shadow: PostgresShadowRows


def intake_rows(tx: Tx) -> PostgresIntakeRows:
    """The repository over `tx`."""
    return PostgresIntakeRows(
        AuthorityStore(tx),
        PostgresRecordRows(tx),
        PostgresCdsRows(tx),
        PostgresProtocolRows(tx),
        PostgresEntryRows(tx),
        PostgresInformationRows(tx),
        PostgresIdentityRows(tx),
        PostgresFeedRows(tx),
        PostgresSourceRows(tx),
        PostgresSubscriptionRows(tx),
        PostgresShadowRows(tx),
    )
