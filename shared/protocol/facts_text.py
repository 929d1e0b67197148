"""The text of a facts file, YAML or JSON, as plain data with dates as they are written.

Invariant: nothing is judged here; what the data mean is for `parse_facts_document` to say.
"""

import json

import yaml


class FactsTextError(ValueError):
    """A text is neither sound YAML nor JSON; `line` is where, if that is known."""

    def __init__(self, line: int | None) -> None:
        super().__init__("is neither sound YAML nor JSON")
        self.line = line


class _Loader(yaml.CSafeLoader):
    """Safe loading in which a date stays as written, so that a bad one is located."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def facts_data(raw: bytes, *, is_json: bool) -> object:
    """Return what a facts file says. Raises `FactsTextError`."""
    try:
        text = raw.decode("utf-8-sig")
        return json.loads(text) if is_json else yaml.load(text, _Loader)  # noqa: S506  (safe)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise FactsTextError(_line(error)) from error


def _line(error: Exception) -> int | None:
    mark = getattr(error, "problem_mark", None)
    line: int | None = mark.line + 1 if mark is not None else getattr(error, "lineno", None)
    return line
