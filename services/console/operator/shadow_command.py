"""The command protocol shadow: past decisions that another rulebook would have changed."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

import typer

from services.console.operator.calling import AsJson, Caller, Refused, end, print_json
from services.console.operator.protocol_commands import register_on
from services.console.operator.rulebook_files import texts_of
from shared.contracts.vocabulary import Role, Service

_VERSION: Final = re.compile(r"\d+(?:\.\d+)*")


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="The coordination protocol's rulebooks.")

    @group.callback()
    def protocol() -> None:
        """Asks about the rulebooks of the coordination protocol."""

    register_on(group)
    group.command("shadow")(shadow)
    app.add_typer(group, name="protocol")


def shadow(
    *,
    rulebook: Annotated[
        str,
        typer.Option(
            help="A directory with coordination.yaml, that file, or a version that decided before."
        ),
    ],
    case: Annotated[UUID | None, typer.Option(help="One case; else all.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Only decisions recorded by then.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say which past decisions another rulebook would have changed. Nothing is changed by it.

    Example: tandem protocol shadow --rulebook rulebook-1.1.0/

    Exit codes: 0 shown, 1 refused, 2 bad usage, 3 no such file or case, or an inconsistent
    rulebook, 4 intake cannot be reached.
    """
    total, changed = 0, []
    asked = {"case_id": None if case is None else str(case), "as_of": as_of}
    try:
        for page in _pages(_texts(rulebook), asked):
            total += page["decisions"]
            changed += page["changed"]
    except Refused as refused:
        end(refused, as_json=as_json)
    if as_json:
        print_json({"protocol": page["protocol"], "decisions": total, "changed": changed})
    else:
        _show(total, changed, page["protocol"]["version"])


def _texts(rulebook: str) -> dict[str, str]:
    if _VERSION.fullmatch(rulebook):
        return {"version": rulebook}
    texts = texts_of(rulebook)
    return {
        "coordination": texts.coordination,
        "codes": texts.codes,
        "sentences": texts.sentences,
    }


def _pages(texts: Mapping[str, str], asked: Mapping[str, str | None]) -> Iterator[Any]:
    caller, after = Caller(Role.MEDICAL_DIRECTOR), None
    while True:
        query = urlencode({k: v for k, v in {**asked, "after": after}.items() if v is not None})
        page = caller.post(Service.INTAKE, f"/protocol/shadow?{query}", texts)
        yield page
        after = page["next"]
        if after is None:
            return


def _show(total: int, changed: list[Mapping[str, Any]], version: str) -> None:
    for one in changed:
        before, after = one["from"], one["to"]
        typer.echo(
            f"{one['gate']} of case {one['case_id']} at {one['at']}:"
            f" {before['decision']} by {one['protocol_version']}, {after['decision']} by {version}"
        )
        for word, here, there in (("no longer", before, after), ("now also", after, before)):
            rules = [rule for rule in here["blocking"] if rule not in there["blocking"]]
            if rules:
                typer.echo(f"    {word} blocked by {', '.join(rules)}")
    typer.echo(f"{len(changed)} of {total} past decisions would have been others")
