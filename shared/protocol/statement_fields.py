"""The fields of every kind of statement: one table that reading and writing share.

Invariant: each attribute of a fact stands here exactly once, so what is read can be written back.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.protocol import facts as f
from shared.protocol import reading as r
from shared.protocol import words


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a statement: its key, the attribute that holds it, and its reader."""

    key: str
    read: Callable[[object, r.Place], object]
    attr: str = ""
    required: bool = False

    @property
    def name(self) -> str:
        """The attribute that holds the field."""
        return self.attr or self.key


def record(kind: type, *fields: Field) -> Callable[[object, r.Place], object]:
    """Return a reader of a part with these fields."""

    def read(raw: object, place: r.Place) -> object:
        return kind(**values_of(r.mapping(raw, place), fields, place))

    return read


def values_of(raw: Mapping[str, Any], fields: Iterable[Field], place: r.Place) -> dict[str, Any]:
    """Return the values by attribute; an unknown or missing field is refused with its place."""
    known = {field.key: field for field in fields}
    values: dict[str, Any] = {}
    for key, given in raw.items():
        if key not in known:
            raise place.at(key).bad("unknown field")
        if given is not None:
            values[known[key].name] = known[key].read(given, place.at(key))
    for field in known.values():
        if field.required and field.name not in values:
            raise place.bad(f"{field.key} is required")
    return values


_CODING = record(
    f.Coding,
    Field("system", r.text, required=True),
    Field("code", r.text, required=True),
    Field("display", r.text),
)
_CODES = Field("codes", r.items(_CODING))
_DOSE_FIELDS = (
    Field("mg_per_day", r.number),
    Field("mg", r.number),
    Field("day", r.day),
    Field("from", r.day, "first"),
    Field("to", r.day, "last"),
)
_ANTIMICROBIAL_FIELDS = (
    Field("name", r.text),
    Field("from", r.day, "first"),
    Field("to", r.day, "last"),
    Field("intent", r.word(words.Intent)),
)
HEADER = (
    Field("id", r.text),
    Field("version", r.whole),
    Field("effective", r.when),
    Field("recorded", r.instant),
    Field("status", r.word(words.FactStatus)),
    Field("source", r.text),
)
_PLAN = (Field("next_planned", r.day), Field("more_planned", r.flag))
_MEASURED = (
    Field("metric", r.text, required=True),
    Field("value", r.number_or_word, required=True),
    Field("unit", r.text),
    Field("comparator", r.text),
    Field("range_high", r.number),
    Field("range_low", r.number),
    Field("specimen", r.text),
    _CODES,
)
_CLASSES = Field("class", r.texts, "classes")
_SPAN = (Field("from", r.day, "first"), Field("to", r.day, "last"))

KIND_FIELDS: dict[str, tuple[type, tuple[Field, ...]]] = {
    "patient": (
        f.Patient,
        (
            Field("birth_date", r.day),
            Field("sex", r.word(words.Sex)),
            Field("childbearing_potential", r.flag),
            Field("weight_kg", r.number),
            Field("deceased", r.when_or_flag),
        ),
    ),
    "medication": (
        f.Medication,
        (
            Field("name", r.text),
            _CLASSES,
            Field("route", r.text),
            Field("intent", r.word(words.Intent)),
            Field("premedication_for", r.word(words.PremedicationFor)),
            Field("doses", r.items(record(f.Dose, *_DOSE_FIELDS))),
            Field("last_dose", r.day),
            *_PLAN,
            _CODES,
        ),
    ),
    "treatment": (
        f.Treatment,
        (_CLASSES, Field("name", r.text), Field("day", r.day), *_SPAN, *_PLAN, _CODES),
    ),
    "plan_change": (
        f.PlanChange,
        (
            Field("class", r.texts, "classes", required=True),
            Field("moved_from", r.day),
            Field("moved_to", r.day),
        ),
    ),
    "lab": (f.Lab, _MEASURED),
    "vital": (f.Vital, _MEASURED),
    "infection": (
        f.Infection,
        (
            Field("type", r.word(words.InfectionType), required=True),
            Field("onset", r.when),
            Field("resolved", r.when),
            Field("fever_until", r.when),
            Field("first_positive", r.when),
            Field("symptom_free_since", r.when),
            Field("antimicrobials", r.items(record(f.Antimicrobial, *_ANTIMICROBIAL_FIELDS))),
            _CODES,
        ),
    ),
    "condition": (
        f.Condition,
        (
            Field("concept", r.text, required=True),
            Field("certainty", r.word(words.Certainty)),
            Field("onset", r.when),
            Field("resolved", r.when),
            _CODES,
        ),
    ),
    "irae": (
        f.Irae,
        (
            Field("grade", r.whole, required=True),
            Field("organ", r.text),
            Field("resolved", r.when),
        ),
    ),
    "performance": (f.Performance, (Field("ecog", r.whole), Field("karnofsky", r.whole))),
    "evidence": (
        f.Evidence,
        (
            Field("item", r.text, required=True),
            Field("valid_until", r.when),
            Field("withdrawn", r.flag),
            Field("topics", r.texts),
            Field("by", r.texts),
        ),
    ),
    "product": (
        f.Product,
        (
            Field("dose_id", r.text, required=True),
            Field("state", r.text, required=True),
            Field("lot", r.text),
            Field("form", r.word(words.ProductForm)),
            Field("formulated_at", r.when),
            Field("expires_at", r.when),
            Field("thawed_at", r.when),
            Field("cryopreserved_on", r.when),
            Field("volume_mL", r.number),
            Field("endotoxin_EU_per_mL", r.number),
            Field("infusion_h", r.number),
            Field("weight_kg", r.number),
            Field("dmso_g", r.number),
            Field("culture_started_on", r.day),
            Field("harvested_on", r.day),
            Field("dry_ice_from", r.when),
            Field("dry_ice_to", r.when),
        ),
    ),
    "release_test": (
        f.ReleaseTest,
        (
            Field("test", r.text, required=True),
            Field("lot", r.text),
            Field("dose_id", r.text),
            Field("value", r.number),
            Field("unit", r.text),
            Field("result", r.text),
            Field("reported", r.when),
        ),
    ),
    "collection": (
        f.Collection,
        (Field("day", r.when), Field("planned", r.day), Field("method", r.text)),
    ),
    "infusion": (
        f.Infusion,
        (
            Field("n", r.whole, required=True),
            Field("dose_id", r.text),
            Field("lot", r.text),
            Field("day", r.when),
            Field("planned", r.day),
            Field("paused_at", r.instant),
            Field("stable_since", r.instant),
            Field("ended_at", r.instant),
        ),
    ),
    "reaction": (
        f.Reaction,
        (
            Field("infusion", r.whole, required=True),
            Field("scale", r.text, required=True),
            Field("grade", r.whole, required=True),
            Field("from", r.when, "started"),
            Field("grade_le_1_since", r.when),
            Field("restart_decision", r.when),
        ),
    ),
    "red_flag": (
        f.RedFlag,
        (
            Field("symptom", r.text, required=True),
            Field("from", r.when, "started"),
            Field("closed", r.when),
        ),
    ),
    "review_decision": (
        f.ReviewDecision,
        (
            Field("rule", r.text, required=True),
            Field("gate", r.text, required=True),
            Field("decision", r.word(words.ReviewOutcome), required=True),
            Field("by", r.texts, required=True),
            Field("facts", r.texts),
            Field("valid_until", r.when),
            Field("reason", r.text),
        ),
    ),
    "override": (
        f.Override,
        (
            Field("rule", r.text, required=True),
            Field("gate", r.text, required=True),
            Field("by", r.texts, required=True),
            Field("valid_until", r.when, required=True),
            Field("reason", r.text),
            Field("facts", r.texts),
        ),
    ),
    "clearance": (
        f.Clearance,
        (
            Field("gate", r.text, required=True),
            Field("issued_at", r.instant, required=True),
            Field("based_on", r.texts),
        ),
    ),
    "correction": (
        f.Correction,
        (
            Field("of", r.text, required=True),
            Field("value", r.number_or_word),
            Field("unit", r.text),
        ),
    ),
    "silence": (
        f.Silence,
        (
            Field("feed", r.text, required=True),
            Field("heard_at", r.instant),
            Field("heard_again_at", r.instant),
        ),
    ),
}
KIND_OF = {kind: name for name, (kind, _) in KIND_FIELDS.items()}
PART_FIELDS: dict[type, tuple[Field, ...]] = {
    f.Dose: _DOSE_FIELDS,
    f.Antimicrobial: _ANTIMICROBIAL_FIELDS,
    f.Coding: (Field("system", r.text), Field("code", r.text), Field("display", r.text)),
}
