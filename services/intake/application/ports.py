"""What intake's use cases ask of their store: authority, record, CDS Hooks and sources."""

from typing import Protocol

from services.intake.application.authority_ports import AuthorityRows
from services.intake.application.cds_ports import CdsRows
from services.intake.application.entry_ports import EntryRows
from services.intake.application.feed_ports import FeedRows
from services.intake.application.identity_ports import IdentityRows
from services.intake.application.information_ports import InformationRows
from services.intake.application.protocol_ports import ProtocolRows
from services.intake.application.record_ports import RecordRows
from services.intake.application.shadow_ports import ShadowRows
from services.intake.application.source_ports import SourceRows
from services.intake.application.subscription_ports import SubscriptionRows


class IntakeRows(Protocol):
    """Intake's repository over one transaction."""

    @property
    def authority(self) -> AuthorityRows:
        """Clearances, holds and permits."""
        ...

    @property
    def record(self) -> RecordRows:
        """The coordination record."""
        ...

    @property
    def entries(self) -> EntryRows:
        """Filled-in forms."""
        ...

    @property
    def information(self) -> InformationRows:
        """Information and consent."""
        ...

    @property
    def cds(self) -> CdsRows:
        """Planned collections and feedback on cards."""
        ...

    @property
    def protocols(self) -> ProtocolRows:
        """The rulebooks that decide and decided."""
        ...

    @property
    def identity(self) -> IdentityRows:
        """Changes of identity and questions about it."""
        ...

    @property
    def feeds(self) -> FeedRows:
        """Messages of feeds, and those that wait for a person."""
        ...

    @property
    def sources(self) -> SourceRows:
        """When each source of evidence was heard."""
        ...

    @property
    def subscriptions(self) -> SubscriptionRows:
        """What FHIR servers notified, and what still has to be had from them."""
        ...

    @property
    def shadow(self) -> ShadowRows:
        """What was asked and held on a day, for shadow mode."""
        ...
