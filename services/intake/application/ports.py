"""What intake's use cases ask of their store: authority, record, CDS Hooks and sources."""

from typing import Protocol

from services.intake.application.authority_ports import AuthorityRows
from services.intake.application.cds_ports import CdsRows
from services.intake.application.protocol_ports import ProtocolRows
from services.intake.application.record_ports import RecordRows
from services.intake.application.source_ports import SourceRows


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
    def cds(self) -> CdsRows:
        """Planned collections and feedback on cards."""
        ...

    @property
    def protocols(self) -> ProtocolRows:
        """The rulebooks that decide and decided."""
        ...

    @property
    def sources(self) -> SourceRows:
        """When each source of evidence was heard."""
        ...
