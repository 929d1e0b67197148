"""Reads the clearance section: how long a clearance counts, and what ends it."""

from shared.contracts.vocabulary import Gate
from shared.protocol.lined import Row
from shared.protocol.rulebook.heads import Heads
from shared.protocol.rulebook.rows import ClearanceRules

_EXPIRES, _CONFIRMED = "CLR-001", "CLR-003"


def read_clearance(top: Row, heads: Heads) -> ClearanceRules:
    """Return the two limits of time; the other rows are heads that the engine fires by id."""
    found = {row.text("id"): row for row in top.rows("clearance")}
    rules = {name: heads.read(row, scope=frozenset(Gate)) for name, row in found.items()}
    for name in (_EXPIRES, _CONFIRMED):
        if name not in found:
            raise top.bad(f"clearance lacks {name}")
        found[name].ignore("answered_by")
    read = ClearanceRules(
        rules[_EXPIRES],
        found[_EXPIRES].whole("max_age_h"),
        rules[_CONFIRMED],
        found[_CONFIRMED].whole("max_age_min"),
    )
    for row in found.values():
        row.done()
    return read
