"""The packaged texts of the red-flag card, or the centre's own from a directory."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

import yaml
from pydantic import TypeAdapter

from services.intake.domain.red_flag_card import CardTemplate

_PATTERN: Final = "red-flag-card.*.yaml"
_ADAPTER: Final = TypeAdapter(CardTemplate)


def card_templates(directory: Path | None) -> Mapping[str, CardTemplate]:
    """The texts by language; the directory's alone when one is given. Raises `ValueError`."""
    return {template.language: template for template in map(_read, _texts(directory))}


def _texts(directory: Path | None) -> Iterable[str]:
    if directory is not None:
        return [path.read_text("utf-8") for path in sorted(directory.glob(_PATTERN))]
    folder = files("services.intake.adapters.card_templates")
    found = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    return [file.read_text("utf-8") for file in found]


def _read(text: str) -> CardTemplate:
    return _ADAPTER.validate_python(yaml.safe_load(text))
