"""Damages JSON the way senders and attackers do, by a source of randomness that is given.

Invariant: the same content and the same random source give the same damage; the result can always
be written as JSON again.
"""

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, [], {}, [[]], [None], [{}], {"": ""}),
    *(0, -1, 1, 2**31, 2**63, 10**30, 0.1, -0.5, 1e308, 5e-324),
    *("", " ", "\x00", "\ud800", "\u202e", "x" * 300, "0", "true", "null"),
    *("2026-13-01", "2026", "2026-02", "0001-01-01", "9999-12-31T23:59:59-14:00", "YYYY-MM-DD"),
    *("2026-02-30T25:61:61Z", "2026-03-01T08:00:00.1234567+03:00", "24:00", "2027-01-01"),
    *("Patient/p2", "#x", "urn:uuid:", "Patient?identifier=", "https://x/Patient/1", "/_history/1"),
    *("active", "entered-in-error", "in-progress", "completed", "not-done", "final", "mg", "d"),
    {"extension": [{"url": "data-absent-reason", "valueCode": "masked"}]},
    {"reference": "Patient/p2"},
    {"coding": [{"system": "http://snomed.info/sct", "code": "91302008"}]},
)
STEPS_MAX: Final = 4
"""Most changes of one round; more of them mostly hide each other."""
NODES_MAX: Final = 5_000
"""Larger content is returned as it is, so that repeated rounds cannot make it grow for ever."""

Place = tuple[Any, Any]
"""A container and the key or index in it."""


def mutated(content: object, chance: random.Random) -> object:
    """Return a damaged copy of JSON content."""
    damaged: list[Any] = [copy.deepcopy(content)]
    for _ in range(chance.randint(1, STEPS_MAX)):
        places = list(_places(damaged))
        if not places or len(places) > NODES_MAX:
            break
        chance.choice(_CHANGES)(chance.choice(places), places, chance)
    return damaged[0] if damaged else None


def _places(node: dict[Any, Any] | list[Any]) -> Iterator[Place]:
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _places(node[key])


def _replace(place: Place, _: list[Place], chance: random.Random) -> None:
    node, key = place
    node[key] = copy.deepcopy(chance.choice(ODD))


def _remove(place: Place, _: list[Place], __: random.Random) -> None:
    node, key = place
    del node[key]


def _transplant(place: Place, places: list[Place], chance: random.Random) -> None:
    """Put what stands somewhere else here, the way mapping errors do."""
    node, key = place
    other, name = chance.choice(places)
    node[key] = copy.deepcopy(other[name])


def _repeat(place: Place, _: list[Place], __: random.Random) -> None:
    node, key = place
    if isinstance(node, list):
        node.append(copy.deepcopy(node[key]))
    else:
        node[key] = [node[key], copy.deepcopy(node[key])]


def _rename(place: Place, places: list[Place], chance: random.Random) -> None:
    node, key = place
    names = [name for _, name in places if isinstance(name, str)]
    if isinstance(node, dict) and names:
        node[chance.choice(names)] = node.pop(key)


def _nudge(place: Place, _: list[Place], chance: random.Random) -> None:
    """Change a number or a text a little."""
    node, key = place
    value = node[key]
    if isinstance(value, str) and value:
        at = chance.randrange(len(value))
        node[key] = value[:at] + chance.choice("09-:/|#?.TZ ") + value[at + chance.randint(0, 1) :]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        node[key] = chance.choice((-value, 1000 if not value else value / 1000, str(value)))


_CHANGES: Final[tuple[Callable[[Place, list[Place], random.Random], None], ...]] = (
    _replace,
    _remove,
    _transplant,
    _repeat,
    _rename,
    _nudge,
)
