"""The words of one rulebook, and the digest by which decisions and signatures name them.

Invariant: two rulebooks have one digest only if every character is the same.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RulebookTexts:
    """The three files of a rulebook as they stand."""

    coordination: str
    codes: str
    sentences: str

    @property
    def digest(self) -> str:
        """SHA-256 over the three texts, each after its length, so that none runs into the next."""
        found = hashlib.sha256()
        for text in (self.coordination, self.codes, self.sentences):
            raw = text.encode()
            found.update(len(raw).to_bytes(8, "big") + raw)
        return found.hexdigest()
