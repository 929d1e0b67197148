"""A rulebook that a command names: a directory, a coordination file, or the packaged one."""

from pathlib import Path
from typing import Final

from services.console.operator.calling import Refused
from shared.protocol import RulebookTexts, packaged_texts
from shared.protocol.loader import texts_at
from shared.runtime.exits import Exit

PACKAGED: Final = "packaged"


def texts_of(named: str) -> RulebookTexts:
    """The rulebook's texts. Raises `Refused` when there is no such file."""
    if named == PACKAGED:
        return packaged_texts()
    path = Path(named)
    try:
        return texts_at(path)
    except OSError as error:
        title = f"{path.name} cannot be read: {error.strerror}"
        raise Refused(Exit.INPUT_REFUSED, {"title": title, "code": "unreadable"}) from error
