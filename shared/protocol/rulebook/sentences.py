"""The sentences of findings: templates with named fields, filled with plain words.

Invariant: a template names only fields that its caller gives; the loader's test fills every one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from shared.protocol.lined import Row


@dataclass(frozen=True, slots=True)
class Sentences:
    """Templates by key, and the names of the months."""

    templates: Mapping[str, str]
    months: tuple[str, ...]
    words: Mapping[str, str]

    def say(self, key: str, **fields: object) -> str:
        """Return the sentence of that key."""
        return self.templates[key].format(**fields)

    def word(self, name: str) -> str:
        """Return the clinicians' word for an item, metric or class; the name itself if none."""
        return self.words.get(name) or name.replace("_", " ")

    def time(self, when: date | datetime, zone: tzinfo) -> str:
        """Return a day or an instant as people write it, in the clinic's zone."""
        if not isinstance(when, datetime):
            return f"{when.day} {self.months[when.month - 1]} {when.year}"
        local = when.astimezone(zone)
        day = f"{local.day} {self.months[local.month - 1]} {local.year}"
        return f"{day} {local.hour:02d}:{local.minute:02d}"


def read_sentences(top: Row) -> Sentences:
    """Return the sentences of a sentences file."""
    templates, words = top.row("templates"), top.row("words")
    months = top.texts("months")
    read = Sentences(
        {key: templates.text(key) for key in templates.names()},
        months,
        {key: words.text(key) for key in words.names()},
    )
    top.ignore("meta")
    top.done()
    return read
