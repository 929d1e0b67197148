"""The card with the warning signs and the centre's number, as one printable page. Pure.

Invariant: the page holds every red flag of the rulebook under its level, a real number, nothing of
the patient, no script and nothing from elsewhere; an unreviewed text is marked, or refused.
"""

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from shared.protocol.rulebook.plans import RedFlagRule

_STYLE: Final = (
    "@page{size:A6 portrait;margin:6mm}body{font:11px/1.35 sans-serif;margin:0 auto;max-width:93mm}"
    "h1{font-size:15px;margin:0 0 2mm}h2{font-size:12px;margin:2mm 0 1mm}ul{margin:0 0 0 4mm;"
    "padding:0}p{margin:1mm 0}.number{font-size:18px;font-weight:700}.draft{border:2px solid;"
    "padding:1mm;font-weight:700}footer{font-size:8px;margin-top:2mm}"
)
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: the one style block is allowed by its hash, and nothing else at all
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class CardTemplate:
    """The words of the card in one language, and who reviewed them (None: nobody yet)."""

    id: str
    version: int
    language: str
    reviewed_by: str | None
    reviewed_on: date | None
    title: str
    draft: str
    intro: str
    call: str
    levels: Mapping[str, str]
    flags: Mapping[str, str]
    closing: str

    @property
    def is_reviewed(self) -> bool:
        """Whether a person put their name and a day to it."""
        return bool(self.reviewed_by) and self.reviewed_on is not None


class CardRefusedError(Exception):
    """There is no card to hand to a patient. `code` is stable."""

    def __init__(self, code: str, title: str) -> None:
        super().__init__(title)
        self.code = code
        self.title = title


def usable(template: CardTemplate, flags: Sequence[RedFlagRule], *, is_demo: bool) -> CardTemplate:
    """The template, if a patient may get it. Raises `CardRefusedError`."""
    if not template.is_reviewed and not is_demo:
        raise CardRefusedError("template-not-reviewed", "Nobody has reviewed this text yet.")
    lacking = [f.id for f in flags if f.id not in template.flags or f.level not in template.levels]
    if lacking:
        title = f"The text lacks words for {', '.join(lacking)}."
        raise CardRefusedError("template-incomplete", title)
    return template


def rendered(
    template: CardTemplate, flags: Sequence[RedFlagRule], phone: str | None, *, is_demo: bool
) -> str:
    """The page. Raises `CardRefusedError`."""
    usable(template, flags, is_demo=is_demo)
    if not phone:
        raise CardRefusedError("no-centre-number", "The centre's 24-hour number is not set.")
    levels = sorted({flag.level for flag in flags}, reverse=True)
    parts = [
        f'<!doctype html><html lang="{_safe(template.language)}"><head><meta charset="utf-8">',
        f"<title>{_safe(template.title)}</title><style>{_STYLE}</style></head><body>",
        "" if template.is_reviewed else f'<p class="draft">{_safe(template.draft)}</p>',
        f"<h1>{_safe(template.title)}</h1><p>{_safe(template.intro)}</p>",
        f'<p>{_safe(template.call)}: <span class="number">{_safe(phone)}</span></p>',
        *(_level(template, flags, level) for level in levels),
        f"<p>{_safe(template.closing)}</p>",
        f"<footer>{_safe(_origin(template))}</footer></body></html>",
    ]
    return "".join(parts)


def _level(template: CardTemplate, flags: Sequence[RedFlagRule], level: str) -> str:
    signs = "".join(
        f"<li>{_safe(template.flags[flag.id])}</li>" for flag in flags if flag.level == level
    )
    return f"<h2>{_safe(template.levels[level])}</h2><ul>{signs}</ul>"


def _origin(template: CardTemplate) -> str:
    name = f"{template.id} {template.language} {template.version}"
    if template.reviewed_on is None:
        return name
    return f"{name} · {template.reviewed_by} {template.reviewed_on.isoformat()}"


def _safe(text: str) -> str:
    return html.escape(text, quote=True)
