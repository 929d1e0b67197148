"""The commands protocol show, diff, propose, sign and retire: a rulebook's life, from draft on."""

from typing import Annotated, Any

import typer

from services.console.operator.calling import (
    AsJson,
    Caller,
    Refused,
    end,
    fresh_token,
    print_json,
)
from services.console.operator.rulebook_files import texts_of
from shared.contracts.vocabulary import Role, Service
from shared.protocol.difference import differences

Since = Annotated[
    str | None, typer.Option(help="From when on, with offset; else as soon as possible.")
]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]


def register_on(group: typer.Typer) -> None:
    """Adds the commands to the group `protocol`."""
    for command in (show, diff, propose, sign, retire):
        group.command(command.__name__)(command)


def show(*, as_json: AsJson = False) -> None:
    """Show which rulebook decides, every version on record, and who signed what.

    Example: tandem protocol show

    Exit codes: 0 shown, 1 refused, 4 intake cannot be reached.
    """
    try:
        found = Caller(Role.MEDICAL_DIRECTOR).get(Service.INTAKE, "/protocol/versions")
    except Refused as refused:
        end(refused, as_json=as_json)
    if as_json:
        print_json(found)
        return
    for item in found["items"]:
        typer.echo(f"{item['id']} {item['version']}  {item['status']}  {item['digest']}")
        for one in item["signatures"]:
            typer.echo(
                f"    {one['meaning']} from {one['since']} by {one['signer_name']}"
                f" ({one['signer']}), signed {one['signed_at']}: {one['reason']}"
            )


def diff(
    old: Annotated[str, typer.Argument(help="A directory, a coordination file, or “packaged”.")],
    new: Annotated[str, typer.Argument(help="The same, for the newer rulebook.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Say in words what changed from one rulebook to another. Needs no server.

    Example: tandem protocol diff packaged rulebook-1.1.0/

    Exit codes: 0 said, 2 bad usage, 3 no such file.
    """
    try:
        changes = differences(texts_of(old), texts_of(new))
    except Refused as refused:
        end(refused, as_json=as_json)
    if as_json:
        print_json({"changes": [change.to_json() for change in changes]})
        return
    for change in changes:
        typer.echo(change.text)
    typer.echo(f"{len(changes)} changes")


def propose(
    rulebook: Annotated[str, typer.Argument(help="A directory, or a coordination file.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Put a draft on record, so that it can be compared, shadowed and signed.

    Example: tandem protocol propose rulebook-1.1.0/

    Exit codes: 0 on record, 1 refused, 3 no such file, or an inconsistent rulebook, 4 intake
    cannot be reached.
    """
    try:
        texts = texts_of(rulebook)
        body = {
            "coordination": texts.coordination, "codes": texts.codes,
            "sentences": texts.sentences,
        }  # fmt: skip
        made = Caller(Role.MEDICAL_DIRECTOR).post(Service.INTAKE, "/protocol/versions", body)
    except Refused as refused:
        end(refused, as_json=as_json)
    _told(made, f"{made['id']} {made['version']} is on record: {made['digest']}", as_json=as_json)


def sign(
    digest: Annotated[str, typer.Argument(help="The rulebook's digest (protocol show).")],
    *,
    reason: Reason,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Sign a rulebook for use, as medical director, with a second sign-in as second component.

    Example: tandem protocol sign 457bc1ae... --reason "read and approved"

    Outside the demo the second sign-in's token comes from TANDEM_SECOND_TOKEN.

    Exit codes: 0 signed, 1 refused, 2 bad usage, 3 no such rulebook, 4 intake cannot be reached.
    """
    _act(digest, "signature", reason, since, as_json=as_json)


def retire(
    digest: Annotated[str, typer.Argument(help="The rulebook's digest (protocol show).")],
    *,
    reason: Reason,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Take the rulebook out of force: nothing starts from then on until another is signed.

    Example: tandem protocol retire 457bc1ae... --reason "the trial ended"

    Exit codes: 0 retired, 1 refused, 2 bad usage, 3 no such rulebook, 4 intake cannot be reached.
    """
    _act(digest, "retirement", reason, since, as_json=as_json)


def _act(digest: str, act: str, reason: str, since: str | None, *, as_json: bool) -> None:
    try:
        body = {
            "since": since,
            "reason": reason,
            "reauthentication_token": fresh_token(Role.MEDICAL_DIRECTOR),
        }
        path = f"/protocol/versions/{digest}/{act}"
        done = Caller(Role.MEDICAL_DIRECTOR).post(Service.INTAKE, path, body)
    except Refused as refused:
        end(refused, as_json=as_json)
    _told(done, f"{done['meaning']} from {done['since']}", as_json=as_json)


def _told(done: Any, text: str, *, as_json: bool) -> None:  # noqa: ANN401  (a JSON document)
    if as_json:
        print_json(done)
    else:
        typer.echo(text)
