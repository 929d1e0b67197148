"""What intake's endpoints work with, put together once in bootstrap."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Depends, Request
from pydantic import BaseModel

from services.intake.application.authority_ports import Authority
from services.intake.application.incoming import ReadBundle
from services.intake.application.incoming_orders import ReadOrders
from services.intake.application.ports import IntakeRows
from services.intake.application.record_ports import CaseSummary
from services.intake.application.rulebooks import Rulebooks
from services.intake.domain.red_flag_card import CardTemplate
from shared.auth.authenticator import Authenticator
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role, Service
from shared.messaging.unit_of_work import UnitOfWork, Work
from shared.ports import World
from shared.protocol import Protocol
from shared.web.idempotency import RequestKey, request_key
from shared.web.problems import Problem, not_found
from shared.web.second_signature import second_person
from shared.web.security import requires, signed_in


@dataclass(frozen=True, slots=True)
class IntakeParts:
    """The use cases' surroundings."""

    uow: UnitOfWork[IntakeRows]
    authority: Authority[IntakeRows]
    rulebooks: Rulebooks
    world: World
    mode: Literal["demo", "shadow", "live"]
    read_bundle: ReadBundle
    read_orders: ReadOrders
    authenticator: Authenticator
    card_templates: Mapping[str, CardTemplate]
    centre_phone: str | None

    @property
    def protocol(self) -> Protocol:
        """The protocol that decides now."""
        return self.rulebooks.protocol

    async def second_person(self, token: str) -> Principal:
        """Who signs second, by a token of their own. Raises `Problem` 422."""
        return await second_person(self.authenticator, token)


def parts_of(request: Request) -> IntakeParts:
    """A dependency: intake's parts."""
    parts = request.app.state.parts
    if not isinstance(parts, IntakeParts):
        raise TypeError("the app was built without its parts")
    return parts


async def case_or_404(work: Work[IntakeRows], case_id: UUID, principal: Principal) -> CaseSummary:
    """The case, if this caller may see it. Raises `Problem` 404 for others' cases too."""
    case = await work.rows.record.case_summary(case_id)
    if case is None or (principal.site is not None and case.site not in (None, principal.site)):
        raise not_found("case")
    return case


#: what a write answers, besides 201, when the thing was there already
ALSO_200: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "It is on record already", "content": {"application/json": {"schema": {}}}}
}


def also_200(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """As `ALSO_200`, with the body that both answers have."""
    return {200: {"description": "It is on record already", "model": model}}


async def case_for_report(
    work: Work[IntakeRows], case_id: UUID, principal: Principal
) -> CaseSummary:
    """The case that a report is about. Raises `Problem` 409 when another case survived it.

    What a person enters there would be seen by nobody. What a service measures of the retired
    case's own material stays with that case.
    """
    case = await case_or_404(work, case_id, principal)
    if case.merged_into is not None and principal.service is None:
        title = "This record was merged into another; report it there."
        raise Problem(409, "case-merged", title, extra={"case_id": str(case.merged_into)})
    return case


#: the parameters that most endpoints have
Person = Annotated[Principal, Depends(signed_in())]
#: operations watch streams, never what is clinical
_READING = tuple(role for role in Role if role is not Role.OPS)
Reader = Annotated[Principal, Depends(requires(*_READING))]
#: a release asks whether its gate is open before two people sign (manufacturing)
GateReader = Annotated[Principal, Depends(requires(*_READING, services=(Service.MANUFACTURING,)))]
#: whoever plans asks what a change would do before anybody makes it
Supposer = Annotated[
    Principal,
    Depends(requires(*_READING, services=(Service.MANUFACTURING, Service.INFUSION_SCHEDULING))),
]
Parts = Annotated[IntakeParts, Depends(parts_of)]
Key = Annotated[RequestKey, Depends(request_key)]
