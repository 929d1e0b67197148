"""Who may enter which kind of fact, and which kinds have an endpoint of their own.

A review decision, an override or a clearance is a signed act, not a fact that one types in; product
facts come from manufacturing alone.
"""

from collections.abc import Mapping, Set
from types import MappingProxyType
from typing import Any, Final

from shared.contracts.vocabulary import Role, Service

CLINICAL: Final = frozenset(
    {
        Role.COORDINATOR,
        Role.TREATING_PHYSICIAN,
        Role.ONCOLOGIST,
        Role.MEDICAL_DIRECTOR,
        Role.APHERESIS_PHYSICIAN,
        Role.CONSULTANT,
        Role.INFUSION_NURSE,
        Role.NURSE_LEAD,
        Role.LAB_TECH,
    }
)
PHYSICIANS: Final = frozenset(
    {Role.TREATING_PHYSICIAN, Role.ONCOLOGIST, Role.MEDICAL_DIRECTOR, Role.APHERESIS_PHYSICIAN}
)

#: kinds that are never entered as facts
NOT_ENTERED: Final = frozenset(
    {
        "review_decision",
        "override",
        "clearance",
        "correction",
        "product",
        "release_test",
        "infusion",
        "collection",
        "reaction",
        "silence",
    }
)

_KIND_ROLES: Final[Mapping[str, frozenset[Role]]] = MappingProxyType(
    {
        "performance": PHYSICIANS | {Role.NURSE_LEAD, Role.COORDINATOR},
        "plan_change": frozenset({Role.ONCOLOGIST, Role.TREATING_PHYSICIAN, Role.COORDINATOR}),
        "irae": PHYSICIANS,
    }
)
#: what rests on more than a word: the endpoint of the case that asks for the rest
OWN_ENDPOINT: Final[Mapping[str, str]] = MappingProxyType(
    {"consent": "consent", "information_given": "information"}
)
_EVIDENCE_ROLES: Final[Mapping[str, frozenset[Role]]] = MappingProxyType(
    {
        "oncology_plan_ack": frozenset({Role.ONCOLOGIST}),
        "infection_clearance_signed": PHYSICIANS | {Role.CONSULTANT},
    }
)


def roles_for(statement: Mapping[str, Any]) -> frozenset[Role]:
    """The roles that may enter this statement; empty when nobody may."""
    kind = statement.get("kind")
    if kind in NOT_ENTERED:
        return frozenset()
    if kind == "evidence" and statement.get("item") in OWN_ENDPOINT:
        return frozenset()
    if kind == "evidence":
        return _EVIDENCE_ROLES.get(str(statement.get("item")), CLINICAL)
    return _KIND_ROLES.get(str(kind), CLINICAL)


#: what a service has measured or checked itself, and no more: a clinical fact is a person's
_SERVICE_KINDS: Final[Mapping[Service, frozenset[str]]] = MappingProxyType(
    {
        Service.INFUSION_SCHEDULING: frozenset({"vital"}),
        Service.MANUFACTURING: frozenset({"release_test"}),
    }
)
#: of the starting material, and of the chain of identity (COL-001, MFG-002, MFG-003)
_MANUFACTURING_EVIDENCE: Final = frozenset({"identity_check", "coi_label"})


def may_report(service: Service, statement: Mapping[str, Any], patient_metrics: Set[str]) -> bool:
    """Whether a service may put this statement on record.

    `patient_metrics`: what is measured in a patient, which manufacturing never reports.
    """
    kind = statement.get("kind")
    if kind in _SERVICE_KINDS.get(service, ()):
        return True
    if service is not Service.MANUFACTURING:
        return False
    if kind == "lab":
        return statement.get("metric") not in patient_metrics
    return kind == "evidence" and statement.get("item") in _MANUFACTURING_EVIDENCE
