"""The forms as they are sent. A form asks for at most four things; the rest has safe defaults."""

from dataclasses import fields
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, Field, model_validator

from services.intake.domain import entries
from shared.protocol.words import InfectionType, Intent, PremedicationFor
from shared.web.requests import RequestModel

#: a plan makes as many statements as a request with facts may have
DOSES_MAX: Final = 200

Name = Annotated[str, Field(min_length=1, max_length=200)]
Milligrams = Annotated[Decimal, Field(gt=0, le=10_000)]


class SteroidCourseBody(RequestModel):
    """A corticosteroid: which, how much a day (null: not known); from today unless said."""

    form: Literal["steroid-course"]
    drug: Name
    mg_per_day: Milligrams | None
    first: date | None = None
    last: date | None = None
    route: Name | None = None
    intent: Intent | None = None
    premedication_for: PremedicationFor | None = None


class InfectionEpisodeBody(RequestModel):
    """An infection; since today unless said."""

    form: Literal["infection-episode"]
    type: InfectionType
    onset: date | None = None
    resolved: date | None = None
    fever_until: AwareDatetime | None = None
    first_positive: date | None = None
    symptom_free_since: AwareDatetime | None = None
    antimicrobial: Name | None = None
    antimicrobial_first: date | None = None
    antimicrobial_last: date | None = None


class ChemotherapyPlanBody(RequestModel):
    """A regimen with its cycle: the planned doses follow."""

    form: Literal["chemotherapy-plan"]
    regimen: Name
    cycle_days: Annotated[int, Field(ge=1, le=90)]
    first_day: date
    cycles: Annotated[int, Field(ge=1, le=20)]
    days: Annotated[tuple[Annotated[int, Field(ge=1, le=90)], ...], Field(min_length=1)] = (1,)
    nothing_after: bool | None = None

    @model_validator(mode="after")
    def is_bounded(self) -> "ChemotherapyPlanBody":
        """A plan's doses are bounded."""
        if len(set(self.days)) * self.cycles > DOSES_MAX:
            raise ValueError(f"more than {DOSES_MAX} planned doses")
        return self


class ChemotherapyMoveBody(RequestModel):
    """A planned dose goes to another day (null: cancelled), and the later ones with it."""

    form: Literal["chemotherapy-cycle"]
    from_day: date
    to_day: date | None
    only_this: bool = False


class SymptomBody(RequestModel):
    """A warning symptom of the protocol, since now unless said."""

    form: Literal["symptom"]
    symptom: Name
    since: AwareDatetime | None = None
    temperature_cel: Annotated[Decimal, Field(ge=25, le=45)] | None = None


class OtherProductBody(RequestModel):
    """A supplement, herbal product or alternative treatment, taken since ever unless said."""

    form: Literal["other-product"]
    product: Name
    kind: entries.ProductKind
    first: date | None = None
    last: date | None = None
    note: Annotated[str, Field(max_length=500)] | None = None


FormBody = Annotated[
    SteroidCourseBody
    | InfectionEpisodeBody
    | ChemotherapyPlanBody
    | ChemotherapyMoveBody
    | SymptomBody
    | OtherProductBody,
    Field(discriminator="form"),
]
FORMS: dict[type[RequestModel], type[Any]] = {
    SteroidCourseBody: entries.SteroidCourse,
    InfectionEpisodeBody: entries.InfectionEpisode,
    ChemotherapyPlanBody: entries.ChemotherapyPlan,
    ChemotherapyMoveBody: entries.ChemotherapyMove,
    SymptomBody: entries.Symptom,
    OtherProductBody: entries.OtherProduct,
}


def form_of(body: RequestModel) -> entries.Form:
    """The filled-in form."""
    kind = FORMS[type(body)]
    form: entries.Form = kind(**{field.name: getattr(body, field.name) for field in fields(kind)})
    return form
