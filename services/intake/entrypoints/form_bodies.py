"""The forms as they are sent. A form asks for at most four things; the rest has safe defaults.

Titles and descriptions are what people read beside a field, here and in the API's document. A field
that must be given and may be null says in `x-null-means` what null says.
"""

from dataclasses import fields
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, Field, model_validator
from pydantic.config import JsonDict

from services.intake.domain import entries
from shared.protocol.words import InfectionType, Intent, PremedicationFor
from shared.web.requests import RequestModel

#: a plan makes as many statements as a request with facts may have
DOSES_MAX: Final = 200

Name = Annotated[str, Field(min_length=1, max_length=200)]
Milligrams = Annotated[Decimal, Field(gt=0, le=10_000)]


def _asked(title: str, hint: str = "", *, null: str | None = None) -> Any:  # noqa: ANN401 - pydantic's own
    """A field that must be given; `null` says what no value means where that is an answer."""
    extra: JsonDict | None = None if null is None else {"x-null-means": null}
    return Field(title=title, description=hint or None, json_schema_extra=extra)


def _more(title: str, hint: str = "", *, default: object = None) -> Any:  # noqa: ANN401 - pydantic's own
    """A field that may be left out."""
    return Field(default, title=title, description=hint or None)


class SteroidCourseBody(RequestModel):
    """A corticosteroid that the patient takes or has taken."""

    form: Literal["steroid-course"]
    drug: Name = _asked("Drug", "As on the prescription, for example dexamethasone.")
    mg_per_day: Milligrams | None = _asked("Dose in mg a day", null="The dose is not known")
    first: date | None = _more("First day", "Today unless you say otherwise.")
    last: date | None = _more("Last day", "Leave empty while it is still taken.")
    route: Name | None = _more("Route", "By mouth unless you say otherwise, for a systemic drug.")
    intent: Intent | None = _more("Given as")
    premedication_for: PremedicationFor | None = _more("If premedication: before what")


class InfectionEpisodeBody(RequestModel):
    """An infection. What is not said to be over counts as lasting."""

    form: Literal["infection-episode"]
    type: InfectionType = _asked("Kind of infection", "Take unspecified while it is not known.")
    onset: date | None = _more("Began on", "Today unless you say otherwise.")
    resolved: date | None = _more("Over since", "Leave empty while it lasts.")
    fever_until: AwareDatetime | None = _more(
        "Last fever at", "Leave empty if not known to be over."
    )
    first_positive: date | None = _more("First positive test on")
    symptom_free_since: AwareDatetime | None = _more(
        "Free of symptoms since", "Leave empty while there are symptoms."
    )
    antimicrobial: Name | None = _more("Antimicrobial drug")
    antimicrobial_first: date | None = _more(
        "First day of that drug", "The first day of the infection unless you say otherwise."
    )
    antimicrobial_last: date | None = _more(
        "Last day of that drug", "Leave empty while it is still taken."
    )


class ChemotherapyPlanBody(RequestModel):
    """A regimen with its cycles: the planned doses follow from them."""

    form: Literal["chemotherapy-plan"]
    regimen: Name = _asked("Drug or regimen", "For example cisplatin.")
    cycle_days: Annotated[int, Field(ge=1, le=90)] = _asked("Length of a cycle in days")
    first_day: date = _asked("First day of the first cycle")
    cycles: Annotated[int, Field(ge=1, le=20)] = _asked("Number of cycles")
    days: Annotated[tuple[Annotated[int, Field(ge=1, le=90)], ...], Field(min_length=1)] = _more(
        "Days of a cycle with a dose", "For example 1, 8. Day 1 unless you say otherwise.",
        default=(1,),
    )  # fmt: skip
    nothing_after: bool | None = _more("Is nothing planned after the last cycle?")

    @model_validator(mode="after")
    def is_bounded(self) -> "ChemotherapyPlanBody":
        """A plan's doses are bounded."""
        if len(set(self.days)) * self.cycles > DOSES_MAX:
            raise ValueError(f"more than {DOSES_MAX} planned doses")
        return self


class ChemotherapyMoveBody(RequestModel):
    """A planned dose goes to another day, and the later ones of its regimen with it."""

    form: Literal["chemotherapy-cycle"]
    from_day: date = _asked("Planned day")
    to_day: date | None = _asked("New day", null="The dose is cancelled")
    only_this: bool = _more(
        "Only this dose", "Unless you say so, later doses move along.", default=False
    )


class SymptomBody(RequestModel):
    """A warning symptom from the protocol's list."""

    form: Literal["symptom"]
    symptom: Name = _asked("Symptom")
    since: AwareDatetime | None = _more("Since", "Now unless you say otherwise.")
    temperature_cel: Annotated[Decimal, Field(ge=25, le=45)] | None = _more("Temperature in °C")


class OtherProductBody(RequestModel):
    """A supplement, herbal product, medicine or alternative treatment that the patient takes."""

    form: Literal["other-product"]
    product: Name = _asked("Product or treatment", "As on the package.")
    kind: entries.ProductKind = _asked("What it is")
    first: date | None = _more(
        "Taken since", "Leave empty if not known: it counts as taken always."
    )
    last: date | None = _more("Taken until", "Leave empty while it is still taken.")
    note: Annotated[str, Field(max_length=500)] | None = _more(
        "Note", "Stays with this entry; nothing is decided by it."
    )


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


class EntryWithdrawalBody(RequestModel):
    """Why an entry is taken back; it stays with the entry's history."""

    reason: Annotated[str, Field(min_length=3, max_length=500)]


def form_of(body: RequestModel) -> entries.Form:
    """The filled-in form."""
    kind = FORMS[type(body)]
    form: entries.Form = kind(**{field.name: getattr(body, field.name) for field in fields(kind)})
    return form
