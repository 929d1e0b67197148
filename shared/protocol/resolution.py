"""Which version of each fact counts: versions, duplicates, corrections, entered in error.

Invariant: the result depends on the set of statements alone, never on the order in which they are
given (protocol: DATA-001, -002, -004, -005). History is kept apart, not thrown away.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.protocol.clinic_time import ClinicTime
from shared.protocol.facts import Correction, Fact, Measured
from shared.protocol.statements import canonical, fact_to_json, kind_of
from shared.protocol.words import FactStatus

BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
"""When a fact was known that says neither when it was true nor when it was recorded."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The current facts in a canonical order, and what became of the others."""

    current: tuple[Fact, ...]
    in_error: tuple[Fact, ...]
    corrected: Mapping[str, datetime]
    duplicates: tuple[str, ...]
    late: tuple[str, ...]


def known_at(fact: Fact, time: ClinicTime) -> datetime:
    """Return when a fact was learnt; without `recorded`, when it was true."""
    if fact.recorded is not None:
        return fact.recorded
    return BEFORE_ALL if fact.effective is None else time.earliest(fact.effective)


def resolve(facts: Iterable[Fact], time: ClinicTime, as_of: datetime | None) -> Resolved:
    """Return the facts as they stood at `as_of` (None: all that are given)."""
    known = [fact for fact in facts if as_of is None or known_at(fact, time) <= as_of]
    corrections = [fact for fact in known if isinstance(fact, Correction)]
    versions: dict[str, list[Fact]] = defaultdict(list)
    for fact in known:
        if not isinstance(fact, Correction):
            versions[fact.id].append(fact)
    made = _Made(time, _targets(corrections, versions))
    for name in sorted(versions):
        made.settle(name, versions[name])
    return made.result()


def _targets(
    corrections: Sequence[Correction], versions: Mapping[str, object]
) -> Mapping[str, list[Correction]]:
    found: dict[str, list[Correction]] = defaultdict(list)
    for correction in corrections:
        name = _target(correction.of, versions)
        if name is not None:
            found[name].append(correction)
    return found


def _target(of: str, versions: Mapping[str, object]) -> str | None:
    """Return the fact that `of` names, as its source does (Observation/plt-1) or bare (plt-1)."""
    if of in versions:
        return of
    _, slash, bare = of.rpartition("/")
    if slash:
        return bare if bare in versions else None
    ending = [name for name in versions if name.rpartition("/")[2] == of]
    return ending[0] if len(ending) == 1 else None


class _Made:
    """Collects the outcome fact by fact."""

    def __init__(self, time: ClinicTime, corrections: Mapping[str, list[Correction]]) -> None:
        self._time = time
        self._corrections = corrections
        self._current: list[Fact] = []
        self._in_error: list[Fact] = []
        self._corrected: dict[str, datetime] = {}
        self._duplicates: list[str] = []
        self._late: list[str] = []

    def result(self) -> Resolved:
        self._current.sort(key=lambda fact: (kind_of(fact), fact.id))
        return Resolved(
            tuple(self._current),
            tuple(self._in_error),
            self._corrected,
            tuple(self._duplicates),
            tuple(self._late),
        )

    def settle(self, name: str, stated: list[Fact]) -> None:
        versions = self._first_of_each_version(name, stated)
        newest = versions[-1]
        if len(versions) > 1:
            self._note_history(name, versions)
        newest = self._apply_corrections(name, newest)
        if newest.status is FactStatus.ENTERED_IN_ERROR:
            self._in_error.append(newest)
        else:
            self._current.append(newest)

    def _first_of_each_version(self, name: str, stated: list[Fact]) -> list[Fact]:
        if len(stated) == 1:
            return stated
        first: dict[int, Fact] = {}
        for fact in sorted(stated, key=self._arrival):
            if first.setdefault(fact.version, fact) is not fact:
                self._duplicates.append(name)
        return [first[version] for version in sorted(first)]

    def _arrival(self, fact: Fact) -> tuple[datetime, str]:
        return known_at(fact, self._time), canonical(fact_to_json(fact))

    def _note_history(self, name: str, versions: list[Fact]) -> None:
        newest, older = versions[-1], versions[:-1]
        learnt = known_at(newest, self._time)
        self._corrected[name] = learnt
        if any(known_at(fact, self._time) > learnt for fact in older):
            self._late.append(name)

    def _apply_corrections(self, name: str, fact: Fact) -> Fact:
        learnt = known_at(fact, self._time)
        for correction in sorted(self._corrections.get(name, ()), key=self._arrival):
            at = known_at(correction, self._time)
            # A version that the source sent after the correction already contains it.
            if at >= learnt or correction.recorded is None:
                fact = _corrected(fact, correction)
                self._corrected[name] = max(at, self._corrected.get(name, BEFORE_ALL))
        return fact


def _corrected(fact: Fact, correction: Correction) -> Fact:
    if correction.status is FactStatus.ENTERED_IN_ERROR:
        return replace(fact, status=FactStatus.ENTERED_IN_ERROR)
    if not isinstance(fact, Measured) or correction.value is None:
        return fact
    return replace(
        fact,
        value=correction.value,
        unit=correction.unit or fact.unit,
        status=FactStatus.CORRECTED,
        version=fact.version + 1,
        recorded=correction.recorded or fact.recorded,
    )
