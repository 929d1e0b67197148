"""What a rule family hands to the engine: a question about a moment, and when its answer changes.

Invariant: between two neighbouring edges of a check its answer names the same rules, effects and
episodes. That is what lets the engine compute exact intervals instead of sampling.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from shared.contracts.vocabulary import Gate
from shared.protocol.clinic_time import ClinicTime, Moment
from shared.protocol.facts import Stated, When
from shared.protocol.findings import Effect, FactRef, Finding, FindingKind, Need, OverrideKind
from shared.protocol.loader import Protocol
from shared.protocol.record import Record
from shared.protocol.rulebook.rows import Rule


@dataclass(frozen=True, slots=True)
class Check:
    """One question. `days`: local days at whose start the answer may change; `instants`: others."""

    find: Callable[[Moment], Sequence[Finding]]
    days: Collection[date] = ()
    instants: Collection[datetime] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A record seen from one gate; the place where rule families make their findings."""

    record: Record
    gate: Gate

    @property
    def protocol(self) -> Protocol:
        """The protocol of the record."""
        return self.record.protocol

    @property
    def time(self) -> ClinicTime:
        """The clinic's calendar."""
        return self.record.time

    @property
    def asks_for_infusion(self) -> bool:
        """True at the infusion gate and at dose_issue, which is the same without the bedside."""
        return self.gate in (Gate.INFUSION, Gate.DOSE_ISSUE)

    def covers(self, rule: Rule) -> bool:
        """True when the rule blocks this gate."""
        return self.gate in rule.scope

    def finding(
        self,
        rule: Rule,
        sentence: str,
        *,
        episode: str,
        uses: Iterable[Stated] = (),
        effect: Effect | None = None,
        kind: FindingKind = FindingKind.CONDITION,
        value: str | None = None,
        limit: str | None = None,
        since: When | None = None,
        clears_at: When | None = None,
        unknown: bool = False,
        override: tuple[OverrideKind, tuple[str, ...]] | None = None,
        needs: tuple[Need, ...] = (),
        **fields: object,
    ) -> Finding:
        """Return a finding of the rule; `sentence` names its template, `fields` fill it."""
        by_whom = (rule.override, rule.by) if override is None else override
        if unknown or kind is not FindingKind.CONDITION:
            # Nobody can vouch for what is not known: unknown never opens a gate.
            by_whom = (OverrideKind.HARD, ())
        effect = rule.effect if effect is None else effect
        return Finding(
            rule=rule.id,
            effect=effect,
            kind=kind,
            episode=episode,
            message=self._message(sentence, rule, value, limit, since, clears_at, fields),
            source=rule.source,
            order=rule.order,
            uses=refs(uses, self.time),
            value=value,
            limit=limit,
            since=since,
            clears_at=None if effect is Effect.INFO else clears_at,
            override=by_whom[0],
            by=by_whom[1],
            unknown=unknown,
            on_running=rule.on_running,
            needs=needs,
        )

    def _message(
        self,
        sentence: str,
        rule: Rule,
        value: str | None,
        limit: str | None,
        since: When | None,
        clears_at: When | None,
        fields: dict[str, object],
    ) -> str:
        words, zone = self.protocol.sentences, self.time.zone
        fields |= {"title": rule.title, "value": value, "limit": limit}
        fields["since"] = None if since is None else words.time(since, zone)
        said = words.say(sentence, **fields)
        if clears_at is None:
            return said
        return f"{said} {words.say('clear', clear=words.time(clears_at, zone))}"


def refs(facts: Iterable[Stated], time: ClinicTime) -> tuple[FactRef, ...]:
    """Return the versions of the facts and when they were learnt, in the order of their ids."""
    found = {fact.id: FactRef(fact.id, fact.version, _learnt(fact, time)) for fact in facts}
    return tuple(found[name] for name in sorted(found))


def _learnt(fact: Stated, time: ClinicTime) -> datetime | None:
    if fact.recorded is not None or fact.effective is None:
        return fact.recorded
    return time.earliest(fact.effective)
