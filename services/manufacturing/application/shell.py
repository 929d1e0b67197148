"""What a use case that spans several transactions works through."""

from dataclasses import dataclass

from services.manufacturing.application.ports import Authority, StartPermits
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.domain.rules import ManufacturingRules
from shared.messaging.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Shell:
    """The service as its use cases see it. `rules` is the protocol version in force."""

    unit_of_work: UnitOfWork[Rows]
    rules: ManufacturingRules
    permits: StartPermits
    authority: Authority
