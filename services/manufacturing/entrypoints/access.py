"""Who may do what in manufacturing, in one place.

Those who make a batch do not release it: the roles of the bench and of quality assurance are kept
apart here, and a person who holds both is caught by the domain and by the database.
"""

from typing import Annotated, Final

from fastapi import Depends

from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role, Service
from shared.web.idempotency import RequestKey, request_key
from shared.web.security import requires

_BOOKING: Final = (Role.COORDINATOR, Role.APHERESIS_PHYSICIAN)
_CHAIR: Final = (Role.APHERESIS_PHYSICIAN, Role.INFUSION_NURSE, Role.NURSE_LEAD)
_QUALITY: Final = (Role.QA_RELEASE, Role.MEDICAL_DIRECTOR)
_WARD: Final = (Role.INFUSION_NURSE, Role.NURSE_LEAD)
#: whoever looks after patients, doses or streams may read; system operators see streams only
_READING: Final = tuple(role for role in Role if role is not Role.OPS)
_SERVICES: Final = (Service.INTAKE, Service.INFUSION_SCHEDULING, Service.CONSOLE)

Reader = Annotated[Principal, Depends(requires(*_READING, services=_SERVICES))]
Planner = Annotated[Principal, Depends(requires(Role.COORDINATOR, Role.NURSE_LEAD))]
Booker = Annotated[Principal, Depends(requires(*_BOOKING))]
AtTheChair = Annotated[Principal, Depends(requires(*_CHAIR))]
AtTheBench = Annotated[Principal, Depends(requires(Role.LAB_TECH))]
Tester = Annotated[Principal, Depends(requires(Role.LAB_TECH, Role.QA_RELEASE))]
Quality = Annotated[Principal, Depends(requires(Role.QA_RELEASE))]
Signer = Annotated[Principal, Depends(requires(*_QUALITY))]
Carrier = Annotated[Principal, Depends(requires(Role.LAB_TECH, Role.COORDINATOR, *_WARD))]
Returner = Annotated[Principal, Depends(requires(Role.LAB_TECH, *_WARD))]
Key = Annotated[RequestKey, Depends(request_key)]
