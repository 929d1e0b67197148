"""Guards on outgoing texts: what no template may say, and what no template may ask for.

No text promises a benefit of the cells, and none suggests to delay, skip or replace a standard
treatment; no placeholder can carry who the patient is or what the patient has. Templates are
checked when the service starts (it refuses to start) and in tests, in the languages that texts
are written or translated in.
"""

import re
from typing import Final

#: efficacy and cure wording: English, German, French, Spanish, Turkish, Chinese
_BENEFIT: Final = (
    r"\bcur(?:e|es|ed|ing|ative)\b",
    r"\b(?:efficac\w*|remission|surviv\w+|life[- ]?(?:saving|prolonging))\b",
    r"\b(?:benefit\w*|improv\w+|effective (?:against|treatment|therapy))\b",
    r"\b(?:will|can) (?:help|work|heal|respond|recover)\b",
    r"\b(?:promis\w+|guarante\w+|breakthrough|miracle)\b",
    r"\b(?:heil(?:t|en|ung)|wirksam\w*|überleben\w*|verbesser\w+|garantier\w+)\b",
    r"\b(?:gu[ée]ri\w*|efficace\w*|survie|am[ée]lior\w+|garanti\w*)\b",
    r"\b(?:cura(?:r|tiv\w+|ci[óo]n)?|eficaz|supervivencia|mejor(?:a|ar|ía)|garantiza\w*)\b",
    r"\b(?:tedavi eder|iyileş\w+|etkili|sağkalım|garanti\w*)\b",  # noqa: RUF001 - Turkish
    r"(?:治愈|疗效|有效|生存|保证)",
)
_STANDARD: Final = (
    r"(?:chemo\w*|radio(?:therapy|therapie)|surgery|standard\w*|oncolog\w+ treatment|"
    r"treatment cycle|cycle|chimio\w*|quimio\w*|kemoterapi\w*|bestrahlung|化疗|放疗|标准治疗)"
)
_DELAY: Final = (
    r"(?:delay\w*|postpon\w+|skip\w*|omit\w*|paus\w+|stop\w*|defer\w*|replac\w+|instead of|"
    r"hold(?:ing)? (?:off|back)|verschieb\w*|aussetz\w*|retard\w*|report(?:er|ez)\b|"
    r"aplaz\w+|suspend\w+|ertele\w*|推迟|停止|代替)"
)
_BANNED: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        *_BENEFIT,
        rf"{_DELAY}[^.\n]{{0,60}}{_STANDARD}",
        rf"{_STANDARD}[^.\n]{{0,60}}{_DELAY}",
    )
)
#: what a message that leaves the installation may fill in: a link, a code and when to answer
MESSAGE_PLACEHOLDERS: Final = frozenset(
    {"case_code", "link", "urgency", "answer_by", "step", "in_shadow"}
)
#: what the signed-in text may fill in: codes and numbers of the evidence
LINE_PLACEHOLDERS: Final = frozenset(
    {
        "gates", "rule", "rules", "number", "planned_at", "may_be_running_until", "flag",
        "grade", "scale", "reason", "doses", "step", "moved", "impossible", "forecast_on",
        "previous_on", "due_at", "consumer", "source", "since",
    }
)  # fmt: skip


def claims_in(text: str) -> tuple[str, ...]:
    """The passages of `text` that no outgoing text may contain; empty when it is clean."""
    flat = re.sub(r"\s+", " ", text)
    return tuple(found.group(0) for pattern in _BANNED for found in pattern.finditer(flat))
