"""A rulebook inside a request: its three texts, or those that differ from the packaged ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

from pydantic import Field

from shared.protocol import RulebookError, RulebookTexts
from shared.web.problems import FieldError, Problem
from shared.web.requests import RequestModel

#: three times the packaged rulebook's largest file
TEXT_MAX: Final = 400_000
Text = Annotated[str, Field(max_length=TEXT_MAX)]


class RulebookBody(RequestModel):
    """A rulebook; for a text that is not sent the packaged one counts."""

    coordination: Text | None = None
    codes: Text | None = None
    sentences: Text | None = None


def rulebook_of(packaged: RulebookTexts, body: RulebookBody) -> RulebookTexts:
    """The rulebook's three texts."""
    return RulebookTexts(
        body.coordination or packaged.coordination,
        body.codes or packaged.codes,
        body.sentences or packaged.sentences,
    )


@contextmanager
def rulebook_refusals() -> Iterator[None]:
    """Answers an inconsistent rulebook with the line at fault. Raises `Problem` 422."""
    try:
        yield
    except RulebookError as error:
        where = FieldError(pointer=f"{error.file}:{error.line}", code="refused", detail=str(error))
        title = "The rulebook is inconsistent."
        raise Problem(422, "rulebook-refused", title, errors=[where]) from error
