"""Races of a press with a hold, as they are drawn: the strategies of the permit machine."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from hypothesis import strategies as st

from shared.contracts.vocabulary import Gate, HoldKind

SUBJECTS: Final = 3


class Word(Enum):
    """What may happen while a press stands in a gap."""

    INFUSION_ACKNOWLEDGES = auto()
    MANUFACTURING_ACKNOWLEDGES = auto()
    INFUSION_HEARS = auto()
    INTAKE_HEARS = auto()
    INFUSION_IS_CALLED = auto()
    FOUR_SECONDS = auto()
    NINE_SECONDS = auto()
    SIXTEEN_SECONDS = auto()
    A_STEP = auto()
    SWEEPER = auto()
    RELEASE = auto()


@dataclass(frozen=True, slots=True)
class Race:
    """A press meets a hold: where it stands, what is said meanwhile, and how both go on."""

    which: int
    gap: str
    gates: frozenset[Gate]
    dose: str
    kind: HoldKind
    first: Word
    words: tuple[Word, ...]
    end: str
    tail: tuple[Word, ...]


GATES: Final = (frozenset(Gate), frozenset({Gate.INFUSION}), frozenset({Gate.COLLECTION}))
KINDS: Final = (HoldKind.CLINICAL_CONCERN, HoldKind.LOGISTICS)
TAILS: Final = (
    (),
    (Word.INTAKE_HEARS,),
    (Word.INTAKE_HEARS, Word.SIXTEEN_SECONDS, Word.NINE_SECONDS),
    (Word.SIXTEEN_SECONDS, Word.NINE_SECONDS),
    (Word.INFUSION_ACKNOWLEDGES,),
)
#: what is said first makes most holds effective, or a permit late; what follows may be anything
OUTSIDE: Final = (
    Word.INFUSION_ACKNOWLEDGES,
    Word.INFUSION_ACKNOWLEDGES,
    Word.MANUFACTURING_ACKNOWLEDGES,
    Word.FOUR_SECONDS,
    Word.SIXTEEN_SECONDS,
    Word.INTAKE_HEARS,
)
#: a press inside a transaction keeps its holder from hearing anything; a COMMIT that hangs is late
INSIDE: Final = (
    Word.MANUFACTURING_ACKNOWLEDGES,
    Word.FOUR_SECONDS,
    Word.SIXTEEN_SECONDS,
    Word.SIXTEEN_SECONDS,
)
#: the gap in the middle, which only the second look can close, comes up most
GAPS_INSIDE: Final = ("commit-1", "commit-2")
GAPS_OUTSIDE: Final = (
    "answered",
    "before-1",
    "after-1",
    "after-1",
    "before-2",
    "before-2",
    "after-2",
)
ENDS: Final = (*("goes on",) * 6, "stands", "dies")


def _races(gaps: tuple[str, ...], first_words: tuple[Word, ...]) -> st.SearchStrategy[Race]:
    return st.builds(
        Race,
        which=st.integers(0, SUBJECTS - 1),
        gap=st.sampled_from(gaps),
        gates=st.sampled_from((*GATES[:2], *GATES)),
        dose=st.sampled_from(("any", "any", "any", "any", "own", "other")),
        kind=st.sampled_from(KINDS),
        first=st.sampled_from(first_words),
        words=st.lists(st.sampled_from(Word), max_size=2).map(tuple),
        end=st.sampled_from(ENDS),
        tail=st.sampled_from(TAILS),
    )


#: mostly outside, where more can happen
RACES: Final = st.sampled_from((True, True, False)).flatmap(
    lambda outside: _races(GAPS_OUTSIDE, OUTSIDE) if outside else _races(GAPS_INSIDE, INSIDE)
)
