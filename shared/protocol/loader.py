"""Loads the rulebooks into one typed, checked, immutable protocol.

Invariant: a protocol that was returned is consistent: every reference resolves, every item, metric
and class that a rule names exists, and limits do not contradict each other. Anything else raises
`RulebookError` with file and line. This is the only module of the package that reads files, and it
reads only the packaged rulebooks or those at the one path that it is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, tzinfo
from functools import lru_cache
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.contracts.vocabulary import Gate
from shared.protocol.consistency import contradictions
from shared.protocol.findings import ProtocolRef
from shared.protocol.lined import Row, RulebookError, read_yaml
from shared.protocol.rulebook import clinical, rows
from shared.protocol.rulebook.clearance_section import read_clearance
from shared.protocol.rulebook.codes import Codes, read_codes
from shared.protocol.rulebook.feeds_section import FeedRule, read_feeds
from shared.protocol.rulebook.heads import Heads
from shared.protocol.rulebook.plan_section import read_plans
from shared.protocol.rulebook.plans import Plans
from shared.protocol.rulebook.product_section import ProductRules, read_product_rules
from shared.protocol.rulebook.sentences import Sentences, read_sentences
from shared.protocol.rulebook.steroid_section import read_steroids
from shared.protocol.rulebook.tables import Tables, read_tables
from shared.protocol.texts import RulebookTexts

__all__ = [
    "Protocol",
    "RulebookError",
    "load_protocol",
    "packaged_texts",
    "read_protocol",
    "read_texts",
    "texts_at",
]

_PACKAGE = "shared.protocol.rulebooks"
_FILES = ("coordination.yaml", "codes.yaml", "sentences.yaml")


@dataclass(frozen=True, slots=True, eq=False)
class Protocol:
    """The protocol in force: version, clinic zone, rules by kind, tables, codes, sentences.

    `digest` is that of the texts it was read from; empty when it was read from none.
    """

    id: str
    version: str
    status: str
    effective_from: date
    zone: tzinfo
    references: Mapping[str, str]
    rules: Mapping[str, rows.Rule]
    patient_rules: tuple[clinical.AnyRule, ...]
    washouts: tuple[rows.WashoutRule, ...]
    steroids: rows.SteroidRules
    labs: tuple[rows.MetricRule, ...]
    evidence: tuple[rows.EvidenceRule, ...]
    product: ProductRules
    red_flag: rows.Rule
    clearance: rows.ClearanceRules
    tables: Tables
    codes: Codes
    sentences: Sentences
    plans: Plans
    feeds: Mapping[str, FeedRule]
    digest: str = ""

    @property
    def ref(self) -> ProtocolRef:
        """Which protocol this is, as decisions carry it."""
        return ProtocolRef(self.id, self.version, self.status)

    @property
    def is_in_force(self) -> bool:
        """False where it is not signed for use, or not any more: no step may start by it."""
        return self.status not in {"unsigned", "retired"}

    @property
    def identity(self) -> str:
        """Which words decide, and under which status: a version name alone would not do."""
        return f"{self.digest}:{self.status}"

    @property
    def indications(self) -> frozenset[str]:
        """The concepts of cancers that the protocol evaluates, kinds of them included."""
        subtypes = self.tables.indication_subtypes
        named = self.codes.indications
        return named | {concept for concept, parent in subtypes.items() if parent in named}

    @property
    def is_draft(self) -> bool:
        """True until a medical director has signed this version."""
        return self.status == "draft"

    def item(self, name: str) -> rows.Item:
        """Return the item of that name or of one of its other names."""
        return self.tables.items[name]


def load_protocol(path: Path | None = None) -> Protocol:
    """Return the packaged protocol, or the one at `path` (a directory, or a coordination file).

    Raises RulebookError when the rulebook is inconsistent, OSError when the file cannot be read.
    """
    if path is None:
        return _packaged()
    return read_texts(texts_at(path), file=path.name if path.is_file() else _FILES[0])


@lru_cache(maxsize=1)
def _packaged() -> Protocol:
    return read_texts(packaged_texts())


def packaged_texts() -> RulebookTexts:
    """Return the rulebook that comes with the program."""
    here = resources.files(_PACKAGE)
    return RulebookTexts(*(here.joinpath(name).read_text("utf-8") for name in _FILES))


def texts_at(path: Path) -> RulebookTexts:
    """Return the rulebook of a directory, or of one coordination file; packaged where it lacks one.

    Raises OSError when there is no coordination file.
    """
    packaged = packaged_texts()
    if not path.is_dir():
        return RulebookTexts(path.read_text("utf-8"), packaged.codes, packaged.sentences)
    codes, sentences = (path / name for name in _FILES[1:])
    return RulebookTexts(
        (path / _FILES[0]).read_text("utf-8"),
        codes.read_text("utf-8") if codes.exists() else packaged.codes,
        sentences.read_text("utf-8") if sentences.exists() else packaged.sentences,
    )


def read_texts(texts: RulebookTexts, *, file: str = _FILES[0]) -> Protocol:
    """Return the protocol of these texts, with their digest; raises RulebookError."""
    read = read_protocol(texts.coordination, texts.codes, texts.sentences, file=file)
    return replace(read, digest=texts.digest)


def read_protocol(
    coordination: str, codes: str, sentences: str, *, file: str = _FILES[0]
) -> Protocol:
    """Return the protocol written in three YAML texts; raises RulebookError."""
    return protocol_of(
        read_yaml(coordination, file),
        read_codes(read_yaml(codes, _FILES[1])),
        read_sentences(read_yaml(sentences, _FILES[2])),
    )


def protocol_of(top: Row, codes: Codes, sentences: Sentences) -> Protocol:
    """Return the protocol of a rulebook that is already parsed; raises RulebookError."""
    meta, references = top.row("meta"), top.row("references")
    known = {key: references.row(key).text("t") for key in references.names()}
    heads = Heads(known, frozenset(top.texts("on_running_stop")))
    top.ignore("retired")
    parts = _read_rules(top, heads)
    protocol = Protocol(
        id=meta.text("id"),
        version=meta.text("version"),
        status=_status(meta),
        effective_from=date.fromisoformat(meta.text("effective_from")),
        zone=_zone(meta),
        references=known,
        rules=heads.rules,
        patient_rules=parts.patient,
        washouts=parts.washouts,
        steroids=parts.steroids,
        labs=parts.labs,
        evidence=parts.evidence,
        product=parts.product,
        red_flag=parts.red_flag,
        clearance=parts.clearance,
        tables=read_tables(top),
        codes=codes,
        sentences=sentences,
        plans=read_plans(top, known),
        feeds=parts.feeds,
    )
    top.ignore("semantics", "plausible_src", "items_src", "units_src")
    top.ignore("on_running_src", "reevaluate_src", "indication_src")
    top.done()
    _cross_check(protocol, top)
    return protocol


@dataclass(frozen=True, slots=True)
class _Parts:
    patient: tuple[clinical.AnyRule, ...]
    washouts: tuple[rows.WashoutRule, ...]
    steroids: rows.SteroidRules
    labs: tuple[rows.MetricRule, ...]
    evidence: tuple[rows.EvidenceRule, ...]
    product: ProductRules
    red_flag: rows.Rule
    clearance: rows.ClearanceRules
    feeds: Mapping[str, FeedRule]


def _read_rules(top: Row, heads: Heads) -> _Parts:
    # The order of reading is the order of findings in a decision.
    patient = [clinical.read_rule(row, heads) for row in top.rows("eligibility")]
    washouts, pointer = _washouts(top, heads)
    steroids = read_steroids(top, heads, pointer)
    patient += [clinical.read_rule(row, heads) for row in top.rows("infection")]
    patient += [clinical.read_rule(row, heads) for row in top.rows("immune_toxicity")]
    labs = tuple(clinical.lab(row, heads) for row in top.rows("labs"))
    evidence = tuple(clinical.evidence(row, heads) for row in top.rows("evidence"))
    for row in top.rows("data_rules"):
        heads.read(row, scope=frozenset(Gate))
        row.done()
    clearance = read_clearance(top, heads)
    product = read_product_rules(top, heads)
    patient += [clinical.read_rule(row, heads) for row in top.row("infusion").rows("rules")]
    patient += product.others
    red_flag = heads.read(top.row("red_flag_effect"))
    return _Parts(
        patient=tuple(patient),
        washouts=washouts,
        steroids=steroids,
        labs=labs,
        evidence=evidence,
        product=product,
        red_flag=red_flag,
        clearance=clearance,
        feeds=read_feeds(top, heads),
    )


def _washouts(top: Row, heads: Heads) -> tuple[tuple[rows.WashoutRule, ...], Row]:
    found, pointer = [], None
    for row in top.rows("washouts"):
        if row.has("see"):
            pointer = row
        else:
            found.append(clinical.washout(row, heads))
    if pointer is None:
        raise top.bad("washouts lack the pointer to the steroid rules")
    return tuple(found), pointer


def _status(meta: Row) -> str:
    status = meta.text("status")
    if status not in {"draft", "signed", "retired"}:
        raise meta.bad(f"status {status!r} is none of draft, signed, retired")
    return status


def _zone(meta: Row) -> tzinfo:
    name = meta.text("time_zone")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise meta.bad(f"time_zone {name!r} does not exist") from error


def _cross_check(protocol: Protocol, top: Row) -> None:
    for line, message in contradictions(protocol, top):
        raise RulebookError(top.file, line, message)
