"""The coordination protocol as pure functions over facts.

`decide`, `timeline`, `what_if` and `blockers` are functions of (protocol, facts, gate, time) alone:
no clock, no randomness, no environment, no I/O. Only `load_protocol` reads, and only the packaged
rulebooks or a file that it is given. Facts come from `parse_statement` (the `--facts` form, the
API, the FHIR reader) and are stored as `fact_to_json`.
"""

from shared.contracts.vocabulary import Gate, Verdict
from shared.protocol.blockers import Blocker, blockers
from shared.protocol.checklist import (
    ChecklistItem,
    EligibilityAdvice,
    EligibilityOutcome,
    ItemState,
    checklist,
    eligibility_advice,
)
from shared.protocol.engine import decide, timeline
from shared.protocol.facts import Fact, When
from shared.protocol.findings import (
    Decision,
    Due,
    Effect,
    FactRef,
    Finding,
    FindingKind,
    Interval,
    OverrideKind,
    ProtocolRef,
    RuleSource,
)
from shared.protocol.holds import (
    HoldKey,
    asks_for_hold,
    blocking_rule_findings,
    hold_findings,
    newly_blocking,
    releasable,
)
from shared.protocol.loader import (
    Protocol,
    RulebookError,
    load_protocol,
    packaged_texts,
    read_texts,
)
from shared.protocol.record import Record
from shared.protocol.rules.standing import can_be_closed
from shared.protocol.statements import (
    KINDS,
    FactsDocument,
    Problem,
    canonical,
    fact_from_json,
    fact_to_json,
    kind_of,
    parse_facts_document,
    parse_statement,
)
from shared.protocol.texts import RulebookTexts
from shared.protocol.what_if import Difference, WhatIf, Window, what_if
from shared.protocol.words import FactStatus

__all__ = [
    "KINDS",
    "Blocker",
    "ChecklistItem",
    "Decision",
    "Difference",
    "Due",
    "Effect",
    "EligibilityAdvice",
    "EligibilityOutcome",
    "Fact",
    "FactRef",
    "FactStatus",
    "FactsDocument",
    "Finding",
    "FindingKind",
    "Gate",
    "HoldKey",
    "Interval",
    "ItemState",
    "OverrideKind",
    "Problem",
    "Protocol",
    "ProtocolRef",
    "Record",
    "RuleSource",
    "RulebookError",
    "RulebookTexts",
    "Verdict",
    "WhatIf",
    "When",
    "Window",
    "asks_for_hold",
    "blockers",
    "blocking_rule_findings",
    "can_be_closed",
    "canonical",
    "checklist",
    "decide",
    "eligibility_advice",
    "fact_from_json",
    "fact_to_json",
    "hold_findings",
    "kind_of",
    "load_protocol",
    "newly_blocking",
    "packaged_texts",
    "parse_facts_document",
    "parse_statement",
    "read_texts",
    "releasable",
    "timeline",
    "what_if",
]
