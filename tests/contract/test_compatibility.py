"""What was promised of an event is kept; a break names the services that it breaks.

The promises stand in a committed file, so that a clone without history checks them too; where
there is history, the promises of the commits before are kept as well.
"""

import copy
import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tools.documents.compatibility import breaks
from tools.documents.readers import readers_of
from tools.documents.schemas import all_schemas
from tools.documents.tree import PROMISED, ROOT, broken_promises, promised_text

HOLD = "tandem.coordination.hold-recorded.v1"
TIMELINE = "tandem.coordination.timeline-published.v1"
READERS = "manufacturing, infusion_scheduling, notification, console"

Schemas = dict[str, Any]


def test_every_promise_is_kept() -> None:
    assert broken_promises(promised_text(ROOT)) == []


def test_every_event_has_been_promised() -> None:
    assert set(json.loads(promised_text(ROOT))) == set(all_schemas())


@pytest.mark.parametrize("commit", ["HEAD", "HEAD~1"])
def test_no_promise_of_the_commits_before_was_taken_back(commit: str) -> None:
    shown = subprocess.run(
        ["git", "show", f"{commit}:{PROMISED}"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    # a clone may have no history, and the first commits have no promises
    assert broken_promises(shown.stdout if shown.returncode == 0 else "{}") == []


def drop_member(new: Schemas) -> None:
    del new[HOLD]["properties"]["gates"]
    new[HOLD]["required"].remove("gates")


def new_member_without_default(new: Schemas) -> None:
    new[HOLD]["properties"]["ward"] = {"type": "string"}
    new[HOLD]["required"].append("ward")


def lost_default(new: Schemas) -> None:
    del new[HOLD]["properties"]["rule"]["default"]


def changed_default(new: Schemas) -> None:
    new[HOLD]["properties"]["rule"]["default"] = "STER-001"


def retyped(new: Schemas) -> None:
    new[HOLD]["properties"]["effective"]["type"] = "string"


def no_longer_nullable(new: Schemas) -> None:
    new[HOLD]["properties"]["rule"]["anyOf"] = [{"type": "string"}]


def narrowed(new: Schemas) -> None:
    new[HOLD]["properties"]["version"]["minimum"] = 1


def widened(new: Schemas) -> None:
    del new[HOLD]["properties"]["version"]["minimum"]


def word_gone(new: Schemas) -> None:
    new[HOLD]["$defs"]["Gate"]["enum"].remove("release")


def word_new(new: Schemas) -> None:
    new[HOLD]["$defs"]["Gate"]["enum"].append("thaw")


def other_topic(new: Schemas) -> None:
    new[HOLD]["x-topic"] = "tandem.holds.v1"


def no_longer_safety(new: Schemas) -> None:
    new[HOLD]["x-safety"] = False


def event_gone(new: Schemas) -> None:
    del new[HOLD]


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (drop_member, ".gates: the member is gone"),
        (new_member_without_default, ".ward: a new member without default"),
        (lost_default, ".rule: the member lost its default, and older records lack it"),
        (changed_default, ".rule: the default changed, and older records are read with it"),
        (retyped, '.effective: type changed from "boolean" to "string"'),
        (
            no_longer_nullable,
            '.rule: the alternatives changed from [{"type": "string"}, {"type": "null"}] '
            'to [{"type": "string"}]',
        ),
        (narrowed, ".version: minimum narrowed from 0 to 1"),
        (widened, ".version: minimum widened from 0 to null"),
        (word_gone, '.gates[]: the word "release" is gone, and older records say it'),
        (word_new, '.gates[]: the word "thaw" is new, and readers refuse unknown words'),
        (
            other_topic,
            ': the topic changed from "tandem.coordination.v1" to "tandem.holds.v1"',
        ),
        (no_longer_safety, ": the safety mark changed from true to false"),
        (event_gone, ": the event is gone, but its records are kept for ever"),
    ],
)
def test_a_planted_break_is_found_and_names_who_breaks(
    plant: Callable[[Schemas], None], told: str
) -> None:
    promised = all_schemas()
    present = copy.deepcopy(dict(promised))
    plant(present)

    found = [
        b.told(tuple(r.value for r in readers_of(b.wire_type))) for b in breaks(promised, present)
    ]

    assert found == [f"{HOLD}{told}; breaks {READERS}"]


def test_a_break_deep_inside_a_member_is_found() -> None:
    present = copy.deepcopy(dict(all_schemas()))
    parts = present[TIMELINE]["$defs"]
    part = next(name for name, schema in parts.items() if schema.get("type") == "object")
    gone = next(iter(parts[part]["properties"]))
    del parts[part]["properties"][gone]

    found = [b.where for b in breaks(all_schemas(), present)]

    assert found != []
    assert all(where.endswith(f".{gone}") for where in found)


def added_member(new: Schemas) -> None:
    new[HOLD]["properties"]["ward"] = {"type": "string", "default": "unknown"}
    new[HOLD]["required"].append("ward")


def added_event(new: Schemas) -> None:
    new["tandem.coordination.hold-recorded.v2"] = new[HOLD]


def reworded(new: Schemas) -> None:
    new[HOLD]["description"] = "A hold was placed."
    new[HOLD]["properties"]["version"]["description"] = "which clearance"


@pytest.mark.parametrize("plant", [added_member, added_event, reworded])
def test_an_addition_breaks_nothing(plant: Callable[[Schemas], None]) -> None:
    present = copy.deepcopy(dict(all_schemas()))
    plant(present)

    assert list(breaks(all_schemas(), present)) == []


def test_the_command_refuses_to_write_over_a_promise() -> None:
    """The same command as `make contracts`, with a promise that today's event does not keep."""
    promised = json.loads(promised_text(ROOT))
    promised[HOLD]["properties"]["ward"] = {"type": "string"}

    assert broken_promises(json.dumps(promised)) == [
        f"{HOLD}.ward: the member is gone; breaks {READERS}"
    ]
