"""The command shadow daily: what Tandem would have held on a day, where it runs in shadow mode."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from services.console.operator.calling import AsJson, Caller, Refused, end, print_json
from shared.contracts.vocabulary import Role, Service

_LINE: Final = "{:<36}  {:<20}  {:<36}  {:<16}  {:<10}  {:>5}  {:<16}  {:<16}"
_HEADS: Final = ("case", "gate", "step", "reason", "rule", "times", "first (UTC)", "last (UTC)")


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Shadow mode: Tandem beside your own way.")

    @group.callback()
    def shadow() -> None:
        """Asks what Tandem would have held."""

    group.command("daily")(daily)
    app.add_typer(group, name="shadow")


def daily(
    *,
    date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="A day of the clinic; else today."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what would have been held on a day, by case, gate, step and rule, and that day's holds.

    Example: tandem shadow daily --date 2027-03-10

    Exit codes: 0 shown, 1 refused (also: not in shadow mode), 2 bad usage, 3 input refused,
    4 intake cannot be reached.
    """
    day = None if date is None else f"{date:%Y-%m-%d}"
    try:
        found = Caller(Role.COORDINATOR).get(Service.INTAKE, "/shadow/daily", date=day)
    except Refused as refused:
        end(refused, as_json=as_json)
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(found: Mapping[str, Any]) -> None:
    typer.echo(
        f"{found['date']} ({found['mode']} mode): {found['asked']} presses,"
        f" {found['would_be_granted']} would have been granted,"
        f" {found['would_be_refused']} refused"
    )
    if found["would_have_held"]:
        typer.echo(_LINE.format(*_HEADS).rstrip())
    for line in found["would_have_held"]:
        typer.echo(
            _LINE.format(
                line["case_id"], line["gate"], line["subject_id"], line["code"],
                line["rule"] or "-", line["times"], _minute(line["first_at"]),
                _minute(line["last_at"]),
            ).rstrip()
        )  # fmt: skip
    typer.echo(f"{len(found['holds'])} holds were placed that day")
    for hold in found["holds"]:
        ended = "" if hold["released_at"] is None else f", released {_minute(hold['released_at'])}"
        typer.echo(
            f"    {hold['kind']} {hold['rule'] or ''} on case {hold['case_id']}"
            f" ({', '.join(hold['gates'])}) at {_minute(hold['recorded_at'])}{ended}"
        )
    if found["is_cut"]:
        typer.echo("The list is cut: there was more than it holds.")


def _minute(instant: str) -> str:
    return f"{datetime.fromisoformat(instant):%Y-%m-%d %H:%M}"
