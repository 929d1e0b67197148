"""Requests that nobody wrote, from a service's own OpenAPI document, against the running service.

Each operation gets well-formed and malformed requests by callers who may and who may not call it;
ids are often those of things that exist, so that requests get past the first look-up. Every answer
is held against the document: no 5xx, no success that is not documented, every body of its schema.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
)

#: the same requests in each run
SEED: Final = 20_261_123
#: how many callers of a role take turns, so that nobody reaches the limit of calls a second
CALLERS: Final = 200
#: what an operation that must not answer in the fuzz is: it changes the service for everybody
LEFT_OUT: Final = frozenset({"POST /ops/recover", "POST /internal/holders/restored"})
_CHECKS: Final = [not_a_server_error, content_type_conformance, response_schema_conformance]

#: the headers of the nth caller in a role (`service:<name>` is one, too)
SignIn = Callable[[str, int], Mapping[str, str]]
#: ids that exist, by the name of the parameter in the path
Known = Mapping[str, Sequence[str]]


@dataclass
class FuzzReport:
    """What was asked and answered."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    by_operation: dict[str, Counter[int]] = field(default_factory=dict)
    breaks: list[str] = field(default_factory=list)

    def count(self, operation: str, status: int) -> None:
        """One more answer."""
        self.requests += 1
        self.statuses[status] += 1
        self.by_operation.setdefault(operation, Counter())[status] += 1

    def text(self) -> str:
        """The report for people."""
        lines = [f"{self.requests} requests; answers {_told(self.statuses)}"]
        lines += [f"  {name}: {_told(found)}" for name, found in sorted(self.by_operation.items())]
        lines += [f"{len(self.breaks)} breaks", *self.breaks[:20]]
        return "\n".join(lines)


def _told(found: Mapping[int, int]) -> str:
    return ", ".join(f"{status} x {number}" for status, number in sorted(found.items()))


def fuzz(
    document: Mapping[str, Any], base_url: str, sign_in: SignIn, known: Known, requests_min: int
) -> FuzzReport:
    """At least so many requests, spread evenly over the document's operations."""
    schema = schemathesis.openapi.from_dict(dict(document))
    operations = [found.ok() for found in schema.get_all_operations()]
    chosen = [o for o in operations if o.label not in LEFT_OUT]
    report = FuzzReport()
    numbers = count()
    for operation in chosen:
        each = -(-requests_min // len(chosen))
        target = report.requests + each
        while report.requests < target:  # a draw that fits nothing is no request
            before = report.requests
            _fuzz_one(
                operation, base_url, sign_in, known, report, numbers, target - report.requests
            )
            if report.requests == before:
                report.breaks.append(f"{operation.label}: no request could be made")
                break
    return report


def _fuzz_one(
    operation: Any,
    base_url: str,
    sign_in: SignIn,
    known: Known,
    report: FuzzReport,
    numbers: "count[int]",
    examples: int,
) -> None:
    raw = operation.definition.raw
    roles = [role for role in raw["x-roles"] if role != "anonymous"]
    documented = {int(s) for s in raw["responses"] if s.isdigit()}

    def ask(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from([GenerationMode.POSITIVE] * 3 + [GenerationMode.NEGATIVE]))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        _aim(data, case, raw, known)
        role = data.draw(st.sampled_from([*roles * 6, "nobody", "ops"]))
        headers = {} if role == "nobody" else sign_in(role, next(numbers) % CALLERS)
        answer = case.call(base_url=base_url, headers=dict(headers), timeout=20.0)
        report.count(operation.label, answer.status_code)
        if answer.status_code < 300 and answer.status_code not in documented:
            report.breaks.append(f"{operation.label}: {answer.status_code} is not documented")
        try:
            case.validate_response(answer, checks=_CHECKS)
        except FailureGroup as error:  # each finding of the checks is one line
            words = " ".join(str(error).split())
            report.breaks.append(f"{operation.label} {answer.status_code}: {words[:700]}")

    quiet = settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    seed(f"{SEED} {operation.label} {report.requests}")(quiet(given(st.data())(ask)))()


def _aim(data: st.DataObject, case: Any, raw: Mapping[str, Any], known: Known) -> None:
    """Points most requests at things that exist, and many at what the example says."""
    for name in list(case.path_parameters or {}):
        if known.get(name) and data.draw(st.integers(0, 4)):
            case.path_parameters[name] = data.draw(st.sampled_from(list(known[name])))
    content = raw.get("requestBody", {}).get("content", {})
    example = content.get(case.media_type or "", {}).get("example")
    if isinstance(example, dict) and data.draw(st.booleans()):
        case.body = _changed(data, example)


def _changed(data: st.DataObject, example: Mapping[str, Any]) -> dict[str, Any]:
    """The example, as it is or with one member that is something else, or gone."""
    found = dict(example)
    if not found:  # a press that says nothing has no member to change
        return found
    match data.draw(st.sampled_from(["same", "same", "other", "gone"])):
        case "other":
            name = data.draw(st.sampled_from(sorted(found)))
            found[name] = data.draw(_ANYTHING)
        case "gone":
            del found[data.draw(st.sampled_from(sorted(found)))]
        case _:
            pass
    return found


_LEAVES: Final = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20), st.sampled_from(["", "\x00", "2027-02-30", "9" * 400, "\ud7ff", "NaN"]),
)  # fmt: skip
_ANYTHING: Final = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["kind", "id", "value", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
