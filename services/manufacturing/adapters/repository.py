"""Manufacturing's repository: its parts over one transaction."""

from services.manufacturing.adapters.case_rows import CaseRows
from services.manufacturing.adapters.collection_rows import CollectionRows
from services.manufacturing.adapters.container_rows import ContainerRows
from services.manufacturing.adapters.dose_rows import DoseRows
from services.manufacturing.adapters.dossier_rows import BatchRows
from services.manufacturing.adapters.hold_rows import HoldRows, ReportRows
from services.manufacturing.application.dossier_ports import Batches
from services.manufacturing.application.row_ports import (
    Cases,
    Collections,
    Containers,
    Doses,
    Holds,
    Reports,
    Rows,
)
from shared.persistence.database import Tx


class ManufacturingRows:
    """The port `Rows` over PostgreSQL."""

    def __init__(self, tx: Tx) -> None:
        self.cases: Cases = CaseRows(tx)
        self.collections: Collections = CollectionRows(tx)
        self.containers: Containers = ContainerRows(tx)
        self.batches: Batches = BatchRows(tx)
        self.doses: Doses = DoseRows(tx)
        self.holds: Holds = HoldRows(tx)
        self.reports: Reports = ReportRows(tx)


def repository(tx: Tx) -> Rows:
    """The repository for a unit of work."""
    return ManufacturingRows(tx)
