"""All documents that code yields, as files below the root of the repository.

One list for writing, for the comparison with what is committed, and for finding files that no code
yields any more.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from shared.contracts.example_events import FOLDER as EXAMPLES
from tools.documents.apps import SERVICES, openapi_document
from tools.documents.asyncapi import CONSUMERS, service_document, system_document
from tools.documents.compatibility import breaks
from tools.documents.events_page import events_page
from tools.documents.readers import readers_of
from tools.documents.schemas import all_schemas

ROOT: Final = Path(__file__).resolve().parents[2]
SCHEMAS: Final = "shared/contracts/schemas"
EXAMPLES_BELOW: Final = f"shared/contracts/{EXAMPLES}"
#: what was promised of each event; grows with every `make contracts` and never loses anything
PROMISED: Final = "shared/contracts/promised.json"
#: folders in which every file is one of ours
OWNED: Final = (SCHEMAS, "docs/asyncapi", "docs/openapi")
_WIDTH: Final = 100


@cache
def documents() -> Mapping[str, str]:
    """Each document's text by its path below the root."""
    found = {"docs/events.md": events_page(), "docs/asyncapi.yaml": as_yaml(system_document())}
    for consumer in CONSUMERS:
        found[f"docs/asyncapi/{consumer.value}.yaml"] = as_yaml(service_document(consumer))
    for service in SERVICES:
        found[f"docs/openapi/{service.value}.yaml"] = as_yaml(openapi_document(service))
    for wire_type, schema in all_schemas().items():
        found[f"{SCHEMAS}/{wire_type}.json"] = as_json(schema)
    return found | {PROMISED: as_json(all_schemas())}


def drift(root: Path) -> Iterator[str]:
    """What below `root` differs from what the code yields."""
    wanted = documents()
    for path, text in wanted.items():
        file = root / path
        if not file.exists():
            yield f"{path} is missing"
        elif file.read_text(encoding="utf-8") != text:
            yield f"{path} is not what the code yields"
    for folder in OWNED:
        for file in sorted((root / folder).glob("*")):
            if f"{folder}/{file.name}" not in wanted:
                yield f"{folder}/{file.name} is yielded by no code"


def write(root: Path) -> Iterator[str]:
    """Writes what differs and removes what is left over; yields each path that changed."""
    wanted = documents()
    for path, text in wanted.items():
        file = root / path
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            yield path
    for folder in OWNED:
        for file in sorted((root / folder).glob("*")):
            if f"{folder}/{file.name}" not in wanted:
                file.unlink()
                yield f"{folder}/{file.name}"


def broken_promises(promised: str) -> list[str]:
    """What today's events break of the promises in this text, with the services that break."""
    return [
        found.told(tuple(reader.value for reader in readers_of(found.wire_type)))
        for found in breaks(json.loads(promised), all_schemas())
    ]


def promised_text(root: Path) -> str:
    """The committed promises; none at all before the first `make contracts`."""
    file = root / PROMISED
    return file.read_text(encoding="utf-8") if file.exists() else "{}"


def as_json(document: Mapping[str, Any]) -> str:
    """The document with its keys in the order of the code."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


class _Plain(yaml.SafeDumper):
    """Every part spelt out: a reader of the file follows no anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 - any node
        """Always."""
        return True


def as_yaml(document: Mapping[str, Any]) -> str:
    """The document as YAML, its keys in the order of the code."""
    plain = json.loads(json.dumps(document))
    text: str = yaml.dump(plain, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text
