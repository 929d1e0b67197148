"""The command replay: every stored decision made again, equal to the byte or not."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from uuid import UUID

import typer

from services.console.operator.calling import AsJson, Caller, Refused, end, print_json
from shared.contracts.vocabulary import Role, Service
from shared.runtime.exits import Exit


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("replay")(replay)


def replay(
    *,
    case: Annotated[UUID | None, typer.Option(help="One case; else all.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Only decisions recorded by then.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make stored decisions again, from the facts known then and the rulebook that they carry.

    Example: tandem replay --case 01890000-0000-7000-8000-000000000000 --as-of 2027-03-10T12:00Z

    Exit codes: 0 every decision is equal to the byte, 1 one is not, 2 bad usage, 3 no such case,
    4 intake cannot be reached.
    """
    total, equal, unequal = 0, 0, []
    try:
        for page in _pages(None if case is None else str(case), as_of):
            total += page["decisions"]
            equal += page["counts"]["equal"]
            unequal += page["unequal"]
    except Refused as refused:
        end(refused, as_json=as_json)
    if as_json:
        print_json({"decisions": total, "equal": equal, "unequal": unequal})
    else:
        _show(total, equal, unequal)
    raise typer.Exit(Exit.DONE if equal == total else Exit.FAILED)


def _pages(case: str | None, as_of: str | None) -> Iterator[Mapping[str, Any]]:
    caller, after = Caller(Role.MEDICAL_DIRECTOR), None
    while True:
        page = caller.get(Service.INTAKE, "/replay", case_id=case, as_of=as_of, after=after)
        yield page
        after = page["next"]
        if after is None:
            return


def _show(total: int, equal: int, unequal: list[Mapping[str, Any]]) -> None:
    for one in unequal:
        typer.echo(
            f"{one['outcome']}: {one['gate']} of case {one['case_id']} at {one['at']}"
            f" (protocol {one['protocol_version']}, decision {one['decision_id']})"
        )
    share = f"{100 * equal / total:.1f} %" if total else "no decision on record"
    typer.echo(f"{equal} of {total} decisions equal to the byte: {share}")
