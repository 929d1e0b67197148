"""Which numbers of a subscription's events are missing.

Invariant: every number from 1 to the highest that is known was seen, or lies in exactly one span
of missing numbers: nothing between two notifications is forgotten without a trace.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Event numbers from `first` to `last`, both included."""

    first: int
    last: int


def missing(before: int, told: Collection[int], after: int) -> tuple[Span, ...]:
    """The spans above `before` and up to `after` of which no number is in `told`, in order."""
    return tuple(_without(Span(before + 1, after), told))


def left_of(span: Span, told: Collection[int]) -> tuple[Span, ...]:
    """What is still missing of a span, in order; empty when all of it was told."""
    return tuple(_without(span, told))


def _without(span: Span, told: Collection[int]) -> Iterator[Span]:
    first = span.first
    for number in sorted(n for n in set(told) if span.first <= n <= span.last):
        if number > first:
            yield Span(first, number - 1)
        first = number + 1
    if first <= span.last:
        yield Span(first, span.last)
