"""What two sides compare: the clearance of a case as (epoch, version), and who holds which gate."""

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from shared.contracts.vocabulary import Gate, Service

#: the gates that need a permit at the moment of acting, and the service that acts
HOLDER_OF: Final = MappingProxyType(
    {
        Gate.COLLECTION: Service.MANUFACTURING,
        Gate.MANUFACTURING_START: Service.MANUFACTURING,
        Gate.DOSE_ISSUE: Service.MANUFACTURING,
        Gate.INFUSION: Service.INFUSION_SCHEDULING,
    }
)
HOLDERS: Final = (Service.MANUFACTURING, Service.INFUSION_SCHEDULING)

_ETAG: Final = re.compile(r'^"(?P<epoch>\d{1,18})\.(?P<version>\d{1,18})"$')


def gates_of(holder: Service) -> frozenset[Gate]:
    """The gates at which this service acts under a permit."""
    return frozenset(gate for gate, service in HOLDER_OF.items() if service is holder)


@dataclass(frozen=True, slots=True, order=True)
class ClearanceVersion:
    """How far the clearance of a case has come. Ordered: an epoch outweighs every version."""

    epoch: int
    version: int

    @property
    def etag(self) -> str:
        """As an HTTP entity tag."""
        return f'"{self.epoch}.{self.version}"'

    @classmethod
    def of_etag(cls, text: str) -> Self | None:
        """The version that an entity tag names, or None when it names none."""
        match = _ETAG.match(text.strip())
        return cls(int(match["epoch"]), int(match["version"])) if match else None
