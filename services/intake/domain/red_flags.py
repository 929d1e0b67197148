"""Which warning symptom of the protocol a statement is about, and how urgent it is. Pure.

Invariant: a red flag that the protocol does not list is as urgent as its most urgent one.
"""

from collections.abc import Sequence

from shared.protocol.rulebook.codes import normal
from shared.protocol.rulebook.plans import RedFlagRule


def word_of(rule: RedFlagRule) -> str:
    """The symptom as statements spell it: `chest_pain`."""
    return normal(rule.symptom.partition("(")[0])


def red_flag_of(rules: Sequence[RedFlagRule], symptom: str) -> RedFlagRule | None:
    """The protocol's red flag with this id or these words, or None."""
    word = normal(symptom)
    found = [rule for rule in rules if word in {normal(rule.id), word_of(rule)}]
    return found[0] if found else None


def urgency_of(rules: Sequence[RedFlagRule], symptom: str) -> tuple[str, str]:
    """The name under which a red flag is told, and its level (L1 to L4)."""
    rule = red_flag_of(rules, symptom)
    if rule is not None:
        return rule.id, rule.level
    return normal(symptom), max(listed.level for listed in rules)
