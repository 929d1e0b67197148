"""Reviewed wording behind the port `Texts`.

Invariant: no text leaves but from a template of this package, and every template has passed both
guards (`domain/claims.py`) when the service started. Messages carry a link and a case code only.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.resources import files
from string import Formatter
from typing import Final

import yaml
from jinja2 import StrictUndefined, meta
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ConfigDict

from services.notification.domain.claims import (
    LINE_PLACEHOLDERS,
    MESSAGE_PLACEHOLDERS,
    claims_in,
)
from services.notification.domain.evidence import Evidence, EvidenceKind
from services.notification.domain.routing import Routes
from shared.contracts.notification import Urgency

_PACKAGE: Final = "services.notification.adapters"
_FOLDER: Final = "templates"
MESSAGE_FILES: Final = ("message_subject.txt", "message_body.txt")
WORDINGS_FILE: Final = "wordings.yaml"


class TemplateError(Exception):
    """A template says or asks for what no outgoing text may; the service does not start."""


class _Wording(BaseModel):
    model_config = ConfigDict(extra="forbid")

    summary: str
    line: str


class _Wordings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    status: str
    acknowledge: str
    shadow_mark: str
    kinds: dict[EvidenceKind, _Wording]
    actions: dict[str, str]


def template_sources() -> Mapping[str, str]:
    """The text of every template file, by name."""
    folder = files(_PACKAGE).joinpath(_FOLDER)
    return {f.name: f.read_text(encoding="utf-8") for f in folder.iterdir() if f.is_file()}


def check_templates(sources: Mapping[str, str]) -> None:
    """Returns when every template passes both guards. Raises `TemplateError` naming the place."""
    for name, text in sources.items():
        strings = _strings(yaml.safe_load(text)) if name == WORDINGS_FILE else (text,)
        for string in strings:
            _check(name, string)


def _check(name: str, text: str) -> None:
    found = claims_in(text)
    if found:
        raise TemplateError(f"{name} makes a claim: {found[0]!r}")
    if name == WORDINGS_FILE:
        used, allowed = _fields(text), LINE_PLACEHOLDERS
    else:
        used = meta.find_undeclared_variables(SandboxedEnvironment().parse(text))
        allowed = MESSAGE_PLACEHOLDERS
    if used - allowed:
        raise TemplateError(f"{name} asks for {', '.join(sorted(used - allowed))}")


def _fields(text: str) -> set[str]:
    """The fields of a line; only plain names are understood, so `{rule.x}` is a strange one."""
    return {field for _, field, _, _ in Formatter().parse(text) if field is not None}


def _strings(document: object) -> Iterator[str]:
    match document:
        case str():
            yield document
        case dict():
            for key, value in document.items():
                yield from _strings(key)
                yield from _strings(value)
        case list():
            for value in document:
                yield from _strings(value)
        case _:
            return


class TemplateTexts:
    """The wording in the package's templates."""

    def __init__(
        self, routes: Routes, sources: Mapping[str, str] | None = None, *, in_shadow: bool = False
    ) -> None:
        found = template_sources() if sources is None else sources
        check_templates(found)
        self._wordings = _Wordings.model_validate(yaml.safe_load(found[WORDINGS_FILE]))
        self._check_complete(routes)
        self._in_shadow = in_shadow
        # plain text mail: nothing to escape; a missing value is an error, never an empty place
        environment = SandboxedEnvironment(
            undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
        )
        self._subject, self._body = (environment.from_string(found[f]) for f in MESSAGE_FILES)

    def _check_complete(self, routes: Routes) -> None:
        missing = [k.value for k in EvidenceKind if k not in self._wordings.kinds]
        wanted = {code for route in routes.by_kind.values() for code in route.actions}
        missing += sorted(wanted - set(self._wordings.actions))
        if missing:
            raise TemplateError(f"no wording for {', '.join(missing)}")

    def summary(self, kind: EvidenceKind) -> str:
        """One line that heads the alert."""
        summary = self._wordings.kinds[kind].summary
        return f"{self._wordings.shadow_mark} {summary}" if self._in_shadow else summary

    def line(self, evidence: Evidence) -> str:
        """What happened, in one sentence; a code that was not told reads as a dash."""
        filled = {name: value for name, value in evidence.detail.items() if value}
        return self._wordings.kinds[evidence.kind].line.format_map(
            defaultdict(lambda: "–", filled)  # noqa: RUF001 - the dash of an empty field
        )

    def action(self, code: str) -> str:
        """A suggested action."""
        return self._wordings.actions[code]

    def acknowledge_note(self) -> str:
        """What an acknowledgement does and does not do."""
        return self._wordings.acknowledge

    def message(
        self, *, urgency: Urgency, case_code: str, link: str, answer_by: datetime | None, step: int
    ) -> tuple[str, str]:
        """Subject and body of a message."""
        values = {
            "urgency": urgency,
            "case_code": case_code,
            "link": link,
            "answer_by": None if answer_by is None else answer_by.strftime("%Y-%m-%d %H:%M UTC"),
            "step": step,
            "in_shadow": self._in_shadow,
        }
        return self._subject.render(values).strip(), self._body.render(values).strip() + "\n"
