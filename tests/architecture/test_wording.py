"""O11: no text promises anything of the therapy, advises against standard treatment, or overclaims.

Looks at everything a reader may see: documents, templates, and the texts in code and data.
"""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.tree import Module, text_files

THERAPY = r"(?:CIK|cytokine-induced|cell therapy|immune cells?|the therapy|this therapy|infusions?)"
STANDARD = (
    r"(?:standard (?:oncology )?(?:treatment|care|therapy)|chemo(?:therapy)?|radiotherapy|"
    r"radiation|surgery|oncology treatment|steroids?|corticosteroids?)"
)
WHOSE = r"(?:the |your |their |any |this |overall |progression-free |next )*"
ACTS = r"(?:cures?|heals?|works|helps|is effective|is proven|will (?:cure|help|heal))"
BETTER = r"(?:improves?|prolongs?|extends?|increases?)"
LIFE = r"(?:survival|life|response rates?|outcomes?)"
NORMS = r"(?:HIPAA|GDPR|GxP|GMP|FDA|EMA|Part 11|MDR)"
BENEFIT = (
    rf"{THERAPY}[^.\n]{{0,40}}\b{ACTS}\b",
    rf"\b(?:cures?|heals?|beats?|defeats?) {WHOSE}(?:cancer|tumou?rs?|disease)\b",
    rf"\b{BETTER} {WHOSE}{LIFE}\b",
    r"\b(?:guarantee[sd]?|promis(?:e|es|ed)) (?:a )?(?:response|remission|benefit|success|cure)\b",
)
ADVICE = (
    rf"\b(?:delay|postpone|stop|skip|pause|defer|refuse|replace|omit) {WHOSE}{STANDARD}\b",
    rf"\b(?:instead of|in place of|rather than|alternative to) {WHOSE}{STANDARD}\b",
)
CLAIM = (
    rf"\b{NORMS}[- ](?:compliant|certified|approved|validated)\b",
    r"\bclinically (?:proven|validated)\b",
    r"\b(?:production|enterprise|military)[- ](?:ready|grade)\b",
)
_BANNED = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for kind, patterns in (("benefit", BENEFIT), ("advice", ADVICE), ("claim", CLAIM))
    for pattern in patterns
)
#: a sentence that denies the claim may name it
_DENIAL = re.compile(
    r"\b(?:no|not|never|nor|neither|without|nothing|cannot|must not)\b", re.IGNORECASE
)
DOCUMENTS = (".md", ".html", ".j2", ".txt", ".yaml", ".yml", ".json", ".toml")
#: the planted claims below
EXEMPT = ("tests/architecture/test_wording.py",)


def banned(path: str, text: str) -> Iterator[str]:
    """The sentences of a text that say what no text of the product may say."""
    for sentence in re.split(r"(?<=[.!?])\s+|\n\s*\n", text):
        if _DENIAL.search(sentence):
            continue
        for pattern, kind in _BANNED:
            if found := pattern.search(sentence):
                yield f"{path}: {kind}: {found[0]!r}"


def readable(path: str, text: str) -> str:
    """What of a file a person may get to read: all of a document, the string constants of code."""
    if path.endswith(DOCUMENTS):
        return text
    if path.endswith(".py") and not path.startswith("tests/"):
        nodes = ast.walk(Module(path, text).tree)
        return "\n\n".join(
            n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)
        )
    return ""


def test_no_text_says_what_none_may_say() -> None:
    found = [
        fault
        for path, text in text_files()
        if path not in EXEMPT
        for fault in banned(path, readable(path, text))
    ]

    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        "CIK cells cure lung cancer.",
        "The infusion will help you.",
        "Cell therapy improves overall survival.",
        "We promise a response.",
        "Please delay your next chemotherapy until the infusion.",
        "Stop the corticosteroids before collection.",
        "Use CIK instead of chemotherapy.",
        "Tandem is HIPAA compliant.",
        "A clinically proven product.",
        "This is production-ready.",
    ],
)
def test_a_planted_claim_is_found(planted: str) -> None:
    assert list(banned("x.md", planted)) != []


@pytest.mark.parametrize(
    "harmless",
    [
        "Tandem never moves, delays or stops a standard treatment.",
        "It does not improve survival.",
        "The infusion is postponed: chemotherapy moved to 8 October.",
        "Plan the infusion after the next chemotherapy.",
    ],
)
def test_what_only_names_them_is_left_alone(harmless: str) -> None:
    assert list(banned("x.md", harmless)) == []
