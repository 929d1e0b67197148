"""The facts of one case, resolved and indexed once, so that many questions are cheap.

Invariant: a record never changes after it is made; what it remembers besides its facts are answers
that follow from them alone.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar, cast

from shared.contracts.vocabulary import Gate
from shared.protocol.clinic_time import ClinicTime
from shared.protocol.facts import Fact, Stated
from shared.protocol.loader import Protocol
from shared.protocol.resolution import Resolved, resolve

if TYPE_CHECKING:
    from shared.protocol.rules.check import Check

F = TypeVar("F", bound=Stated)


class Record:
    """What is known of a case by `as_of`: the current version of each fact, by kind."""

    __slots__ = ("_by_kind", "as_of", "assume", "checks", "protocol", "resolved", "shared", "time")

    def __init__(
        self,
        protocol: Protocol,
        facts: Iterable[Fact],
        *,
        as_of: datetime | None = None,
        assume_other_evidence_current: bool = False,
    ) -> None:
        self.protocol = protocol
        self.time = ClinicTime(protocol.zone)
        self.as_of = as_of
        self.assume = assume_other_evidence_current
        self.resolved: Resolved = resolve(facts, self.time, as_of)
        self.checks: dict[Gate, tuple[Check, ...]] = {}
        self.shared: dict[str, object] = {}
        self._by_kind: dict[type, list[Fact]] = {}
        for fact in self.resolved.current:
            self._by_kind.setdefault(type(fact), []).append(fact)

    @classmethod
    def of(
        cls,
        protocol: Protocol,
        facts: "Iterable[Fact] | Record",
        *,
        as_of: datetime | None = None,
        assume_other_evidence_current: bool = False,
    ) -> "Record":
        """Return the record of these facts; one that is already made is returned as it is.

        Build it once when several gates or instants are asked. `as_of` limits what is known to
        facts recorded by then; `assume_other_evidence_current` is for tests and what-if only.
        """
        if isinstance(facts, Record):
            return facts
        return cls(
            protocol,
            facts,
            as_of=as_of,
            assume_other_evidence_current=assume_other_evidence_current,
        )

    def all(self, kind: type[F]) -> tuple[F, ...]:
        """Return the current facts of a kind, in the order of their ids."""
        return tuple(cast(list[F], self._by_kind.get(kind, ())))
