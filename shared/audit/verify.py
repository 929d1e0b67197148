"""Checks every chain of a service's audit against itself, its heads and the exported roots.

What can be found: an edited, deleted, inserted, reordered or swapped entry, a chain cut short, and
a chain rewritten as a whole (that one only by the exported roots, since whoever can write the
whole database can also compute all hashes anew).
"""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Final

from shared.audit.chain import GENESIS, STATEMENTS, canonical
from shared.persistence.database import Row, Tx

PAGE_SIZE: Final = 1_000
#: a broken audit has one cause; ten thousand faults would say no more
FAULTS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """One place where the audit is not what was written."""

    chain: str
    seq: int
    what: str


@dataclass(slots=True)
class Report:
    """What a check found. `faults` is empty when the audit is intact."""

    entries: int = 0
    chains: int = 0
    roots: int = 0
    faults: list[Fault] = field(default_factory=list)

    def fault(self, chain: str, seq: int, what: str) -> None:
        """Notes a fault, up to the bound."""
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Fault(chain, seq, what))


@dataclass(slots=True)
class _Chain:
    """Where the walk along one chain stands."""

    name: str
    seq: int = 0
    hash: bytes = GENESIS


async def verify(tx: Tx) -> Report:
    """The report on all chains. Entries may be added meanwhile; they are checked or left out."""
    report = Report()
    heads = {row["chain"]: row for row in await tx.rows(STATEMENTS["audit_heads"])}
    seen: set[str] = set()
    chain = _Chain("")
    async for row in _entries(tx):
        if row["chain"] != chain.name:
            await _close(tx, chain, heads, report)
            chain = _Chain(str(row["chain"]))
            seen.add(chain.name)
        _check_entry(chain, row, heads.get(chain.name), report)
    await _close(tx, chain, heads, report)
    for name in heads.keys() - seen:
        report.fault(name, int(heads[name]["seq"]), "all entries of the chain are missing")
    report.chains = len(seen)
    return report


async def _entries(tx: Tx) -> AsyncIterator[Row]:
    after: tuple[str, int] = ("", 0)
    while page := await tx.rows(STATEMENTS["audit_entries_after"], *after, PAGE_SIZE):
        for row in page:
            yield row
        after = (str(page[-1]["chain"]), int(page[-1]["seq"]))


def _check_entry(chain: _Chain, row: Row, head: Row | None, report: Report) -> None:
    report.entries += 1
    seq, body = int(row["seq"]), str(row["body"])
    expected = hashlib.sha256(chain.hash + body.encode()).digest()
    if seq != chain.seq + 1:
        report.fault(chain.name, chain.seq + 1, "entries are missing before the next one")
    elif bytes(row["prev"]) != chain.hash:
        report.fault(chain.name, seq, "the entry does not follow the one before it")
    elif bytes(row["hash"]) != expected:
        report.fault(chain.name, seq, "the entry was changed")
    elif not _columns_agree(row, body):
        report.fault(chain.name, seq, "the entry's columns say something else than its text")
    if head is not None and seq == int(head["seq"]) and bytes(head["hash"]) != bytes(row["hash"]):
        report.fault(chain.name, seq, "the chain's head is another entry")
    chain.seq, chain.hash = seq, bytes(row["hash"])


def _columns_agree(row: Row, body: str) -> bool:
    try:
        document = json.loads(body)
    except ValueError:
        return False
    case = f"case:{row['case_id']}" if row["case_id"] is not None else "service"
    return (
        canonical(document) == body
        and document["chain"] == row["chain"] == case
        and document["action"] == row["action"]
        and document["at"] == row["at"].astimezone(UTC).isoformat()
    )


async def _close(tx: Tx, chain: _Chain, heads: Mapping[str, Row], report: Report) -> None:
    """Checks the end of a chain: it reaches its head, and it has one."""
    if not chain.name:
        return
    head = heads.get(chain.name) or await tx.row(STATEMENTS["audit_head_of"], chain.name)
    if head is None:
        report.fault(chain.name, chain.seq, "the chain has entries and no head")
    elif chain.seq < int(head["seq"]):
        report.fault(chain.name, chain.seq + 1, "the last entries of the chain are missing")


async def verify_against(tx: Tx, exported: Mapping[str, tuple[int, bytes]], report: Report) -> None:
    """Adds the faults of chains that no longer hold an entry of which a root was exported."""
    names = sorted(exported)
    for start in range(0, len(names), PAGE_SIZE):
        page = names[start : start + PAGE_SIZE]
        found = await _hashes(tx, page, [exported[name][0] for name in page])
        for name in page:
            seq, digest = exported[name]
            if found.get(name) != digest:
                report.fault(name, seq, "the entry is not the one of which a root was exported")


async def _hashes(tx: Tx, names: Sequence[str], seqs: Sequence[int]) -> dict[str, bytes]:
    rows = await tx.rows(STATEMENTS["audit_hashes_at"], list(names), list(seqs))
    return {str(row["chain"]): bytes(row["hash"]) for row in rows}
