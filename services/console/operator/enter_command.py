"""The command enter: a form filled in on one line, sent to a running system.

Invariant: nothing is judged or defaulted here; the service reads the form and says what follows.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from services.console.operator.calling import AsJson, Caller, Refused, end, print_json
from shared.contracts.vocabulary import Role, Service
from shared.runtime.exits import Exit

CaseId = Annotated[UUID, typer.Argument(help="The case's id.", show_default=False)]
FormName = Annotated[str, typer.Argument(help="steroid-course, symptom, ...", show_default=False)]
Fields = Annotated[list[str], typer.Argument(help="field=value, as in the form.")]
As = Annotated[Role, typer.Option("--role", help="In whose role (the demo signs in).")]
#: what JSON reads as something else than a text; a date or a name stays as it is written
_WORDS: Final = frozenset({"null", "true", "false"})


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("enter")(enter)


def enter(
    case_id: CaseId,
    form: FormName,
    fields: Fields,
    *,
    role: As = Role.TREATING_PHYSICIAN,
    as_json: AsJson = False,
) -> None:
    """Fill in a form about a case; say which facts it made and which gates changed.

    Example: tandem enter 01890000-0000-7000-8000-000000000000 symptom symptom=RF-CHEST

    Exit codes: 0 recorded, 1 refused, 2 bad usage, 3 no such case or form refused, 4 intake cannot
    be reached.
    """
    try:
        body = {"form": form, **dict(map(_field, fields))}
        shown = Caller(role).post(Service.INTAKE, f"/cases/{case_id}/entries", body)
    except Refused as refused:
        end(refused, as_json=as_json)
    if as_json:
        print_json({"case_id": str(case_id), **shown})
    else:
        _show(shown)


def _field(text: str) -> tuple[str, Any]:
    """The field and its value. Raises `Refused`."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        problem = {"title": f"{text}: expected field=value", "code": "field-malformed"}
        raise Refused(Exit.BAD_USAGE, problem)
    is_json = value in _WORDS or value.startswith("[")
    try:
        return name, json.loads(value) if is_json else value
    except ValueError as error:
        problem = {"title": f"{text}: is not a list", "code": "field-malformed"}
        raise Refused(Exit.BAD_USAGE, problem) from error


def _show(shown: Mapping[str, Any]) -> None:
    facts = ", ".join(f"{f['kind']} {f['fact_id']}" for f in shown["facts"])
    typer.echo(f"{shown['form']} {shown['entry_id']}, version {shown['version']}: {facts}")
    for name, value in shown["shown"].items():
        typer.echo(f"  {name}: {value}")
    if shown["assumed"]:
        typer.echo(f"  assumed: {', '.join(shown['assumed'])}")
    for gate in shown["gates_changed"]:
        typer.echo(f"  {gate['gate']:<20} {gate['start']:<8} until {gate['until']}")
    origin = shown["provenance"]
    typer.echo(f"  by {origin['by']} at {origin['at']}; correct: PUT {shown['links']['correct']}")
