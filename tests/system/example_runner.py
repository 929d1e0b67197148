"""Carries the examples of OpenAPI out, each with the ids that the calls before it were answered.

An answer fits its example when it has the same members and kinds of values; words, numbers of
state and truth values outside lists must be the same. Where the example has an id, the id answered
stands for it from then on; so does the number of a parked record, within its service.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx

from shared.contracts.case_code import case_code
from shared.contracts.vocabulary import Service
from shared.runtime.dev_tokens import demo_user
from shared.web.examples import Example
from tests.system.deployment import FEED_SECRET, Deployment
from tests.system.outsider import plant

#: what an event, or the end of a permit, will change
SETTLES = frozenset({403, 404, 409, 412, 425, 503})
WITHIN_SECONDS = 30.0
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: ids, digests and the labels of containers: what a run has its own of
_OWN = re.compile(_ID.pattern + r"|\b[0-9a-f]{64}\b|TDM-[0-9A-Z*~$=]{20,30}")
_VARYING = re.compile(
    _OWN.pattern
    + r"|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?|\b[A-Z2-7]{4}-[A-Z2-7]{4}\b|127\.0\.0\.1:\d+"
)
_TOKEN = re.compile(r"<token of ([\w: ]+)>")
#: at the end of an example's text: the answer goes on
_MORE = "…"
#: members that hold the number of a parked record, which each service counts for itself
_NUMBERS = frozenset({"id", "first_id", "record_id"})
Bindings = dict[str, str]


class Misfit(Exception):
    """The answer is not like the example; the text says where."""


class Runner:
    """The calls of one story against one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        #: what stands for each id of the examples in this run
        self.ids: Bindings = {}
        #: the same for the numbers of parked records, by service
        self._numbers: dict[str, Bindings] = {}

    async def carry_out(self, example: Example) -> Any:
        """The answer. Raises AssertionError when none fitted in time."""
        if example.planted is not None:
            about = UUID(self.ids[example.planted.case_id])
            await plant(self._deployment, example.planted, about)
        deadline = asyncio.get_running_loop().time() + WITHIN_SECONDS
        while True:
            answer, said = await self._call(example)
            fault = self._fault(example, answer.status_code, said)
            if fault is None:
                return said
            may_settle = answer.status_code in {*SETTLES, example.status}
            if not may_settle or asyncio.get_running_loop().time() > deadline:
                raise AssertionError(
                    f"{example.operation} of {example.service} ({example.path}) by {example.by}: "
                    f"{fault}; answered {answer.status_code} {json.dumps(said)[:1500]}"
                )
            await asyncio.sleep(0.1)

    def _fault(self, example: Example, status: int, said: Any) -> str | None:
        if status != example.status:
            return f"expected {example.status}"
        numbers = self._numbers.setdefault(example.service, {})
        try:
            found = fitted(example.answer, said, {**self.ids, **numbers})
        except Misfit as misfit:
            return str(misfit)
        for told, real in found.items():
            if told.startswith("#"):
                numbers[told] = real
            else:
                self._bind(told, real)
        return None

    def _bind(self, told: str, real: str) -> None:
        self.ids[told] = real
        if _ID.fullmatch(told):
            self.ids[case_code(UUID(told))] = case_code(UUID(real))

    async def _call(self, example: Example) -> tuple[httpx.Response, Any]:
        if example.made_up is not None:
            self.ids[example.made_up] = str(uuid4())
        headers = self._signed_in(example.by)
        if example.if_match is not None:
            service, path, by = example.if_match
            seen = await self._deployment.client.get(
                self._url(service, path), headers=self._signed_in(by)
            )
            headers["if-match"] = seen.headers.get("etag", "")
        content = None
        if example.request is not None:
            headers["content-type"] = example.content_type
            content = json.dumps(self._meant(example.request, example.service)).encode()
        async with self._deployment.client.stream(
            example.method, self._url(example.service, example.path),
            headers=headers, content=content,
        ) as answer:  # fmt: skip
            return answer, await _said(answer)

    def _url(self, service: str, path: str) -> str:
        return f"{self._deployment.url(Service(service))}{self._meant(path)}"

    def _signed_in(self, by: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token(by)}"}

    def _token(self, by: str) -> str:
        identity, now = self._deployment.identity, datetime.now(UTC)
        if by.startswith("service:"):
            return identity.issue_service_token(Service(by.partition(":")[2]), now=now)
        role, _, number = by.partition(" ")
        if role == "feed":
            return FEED_SECRET
        return identity.issue_user_token(demo_user(role, int(number or 1)), now=now)

    def _meant(self, told: Any, service: str = "") -> Any:
        """What the example says, with the ids of this run and real tokens."""
        if isinstance(told, dict):
            return {
                name: self._numbered(value, service)
                if name in _NUMBERS and _is_number(value)
                else self._meant(value, service)
                for name, value in told.items()
            }
        if isinstance(told, list):
            return [self._meant(value, service) for value in told]
        if not isinstance(told, str):
            return told
        if token := _TOKEN.fullmatch(told):
            return self._token(token[1])
        whole = self.ids.get(told)
        return whole or _VARYING.sub(lambda found: self.ids.get(found[0], found[0]), told)

    def _numbered(self, told: int, service: str) -> int:
        return int(self._numbers.get(service, {}).get(f"#{told}", told))


async def _said(answer: httpx.Response) -> Any:
    """The body; of a stream only that it has begun."""
    if "event-stream" in answer.headers.get("content-type", ""):
        return ""
    await answer.aread()
    return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


def fitted(
    told: Any, real: Any, ids: Mapping[str, str], *, where: str = "", loose: bool = False
) -> Bindings:
    """The ids that the answer gives to those of the example. Raises `Misfit`.

    `loose`: words and truth values may differ, their kinds may not.
    """
    if told is None or real is None:
        return {}
    if isinstance(told, dict) and isinstance(real, dict):
        return _members(told, real, ids, where, loose)
    if isinstance(told, list) and isinstance(real, list):
        return _elements(told, real, ids, where, loose)
    if isinstance(told, str) and isinstance(real, str):
        return _words(told, real, ids, where, loose)
    if isinstance(told, bool) and isinstance(real, bool):
        if told is not real and not loose:
            raise Misfit(f"{where} is {real!r}, not {told!r}")
    elif not (_is_number(told) and _is_number(real)):
        raise Misfit(f"{where} is {type(real).__name__}, not {type(told).__name__}")
    return {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _members(told: Any, real: Any, ids: Mapping[str, str], where: str, loose: bool) -> Bindings:
    if told.keys() != real.keys():
        raise Misfit(f"{where} has the members {sorted(real)}, not {sorted(told)}")
    found: Bindings = {}
    for name, value in told.items():
        place = f"{where}/{name}"
        if name in _NUMBERS and _is_number(value) and _is_number(real[name]):
            found |= _numbers(value, real[name], {**ids, **found}, place)
        else:
            found |= fitted(value, real[name], {**ids, **found}, where=place, loose=loose)
    return found


def _numbers(told: int, real: int, ids: Mapping[str, str], where: str) -> Bindings:
    if ids.get(f"#{told}", str(real)) != str(real):
        raise Misfit(f"{where} is about another record than {told}")
    return {f"#{told}": str(real)}


def _elements(
    told: list[Any], real: list[Any], ids: Mapping[str, str], where: str, loose: bool
) -> Bindings:
    """Each element of the example is found, in whatever order; there may be more of them.

    The state of things in a list may differ by how far events have come: only when none is the
    same is one of the same form taken.
    """
    found: Bindings = {}
    left = list(real)
    for number, one in enumerate(told):
        pair = _first(one, left, {**ids, **found}, loose)
        if pair is None and isinstance(one, dict):
            pair = _first(one, left, {**ids, **found}, True)
        if pair is None:
            raise Misfit(f"{where}/{number} of the example is not among {len(left)} elements")
        found |= pair[1]
        del left[pair[0]]
    return found


def _first(
    one: Any, left: list[Any], ids: Mapping[str, str], loose: bool
) -> tuple[int, Bindings] | None:
    for number, other in enumerate(left):
        try:
            return number, fitted(one, other, ids, loose=loose)
        except Misfit:
            continue
    return None


def _words(told: str, real: str, ids: Mapping[str, str], where: str, loose: bool) -> Bindings:
    if ids.get(told, real) != real:
        raise Misfit(f"{where} is about another {told}")
    if told in ids:
        return {}
    if told.endswith(_MORE) and real.startswith(told.removesuffix(_MORE)):
        return {}
    if _VARYING.sub("#", told) != _VARYING.sub("#", real):
        if loose and not (_OWN.search(told) or _OWN.search(real)):
            return {}
        raise Misfit(f"{where} is {real!r}, not {told!r}")
    return dict(zip(_OWN.findall(told), _OWN.findall(real), strict=True))
