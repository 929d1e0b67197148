"""The commands events lag, parked and redrive: what waits, where, and how it goes on.

Invariant: a redrive here is the services' own, by a named person with a reason; the order of a
case is theirs to keep, and nothing is given up by this command.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

import typer
from prometheus_client.parser import text_string_to_metric_families

from services.console.operator.calling import (
    AsJson,
    Caller,
    Refused,
    end,
    print_json,
    tell,
)
from shared.contracts.vocabulary import Role, Service
from shared.runtime.exits import Exit

OnlyService = Annotated[
    list[Service] | None, typer.Option("--service", help="Only this service; may be repeated.")
]
_LAG = {
    "tandem_lag_events": "events",
    "tandem_lag_seconds": "seconds",
    "tandem_outbox_rows": "unsent",
    "tandem_outbox_age_seconds": "unsent_seconds",
    "tandem_parked_cases": "parked_cases",
    "tandem_early_events": "early",
}


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="What waits between the services.")
    group.command("lag")(lag)
    group.command("parked")(parked)
    group.command("redrive")(redrive)
    app.add_typer(group, name="events")


def lag(*, service: OnlyService = None, as_json: AsJson = False) -> None:
    """Show what each service has not applied yet, in events and seconds, and not sent yet.

    Example: tandem events lag --json

    Exit codes: 0 shown, 1 refused, 2 bad usage, 4 a service cannot be reached.
    """
    worst = Exit.DONE
    for one in service or list(Service):
        try:
            rows = list(lag_rows(Caller(Role.OPS).get(one, "/metrics")))
        except Refused as refused:
            worst = max(worst, tell(refused, as_json=as_json, service=one.value))
            continue
        for row in rows:
            if as_json:
                print_json({"service": one.value, **row})
            else:
                place = " ".join(str(v) for k, v in row.items() if k not in {"figure", "value"})
                typer.echo(f"{one.value:<20} {row['figure']:<15} {row['value']:>10g}  {place}")
    raise typer.Exit(worst)


def lag_rows(figures: str) -> Iterator[dict[str, Any]]:
    """The figures of waiting in a service's answer, in its order."""
    for family in text_string_to_metric_families(figures):
        if family.name not in _LAG:
            continue
        for sample in family.samples:
            yield {"figure": _LAG[family.name], "value": sample.value, **sample.labels}


def parked(*, service: OnlyService = None, as_json: AsJson = False) -> None:
    """List the cases whose events wait at a service, the oldest first, with the cause.

    Example: tandem events parked --service notification

    Exit codes: 0 shown (also when nothing waits), 1 refused, 2 bad usage, 4 a service cannot be
    reached.
    """
    worst, count = Exit.DONE, 0
    for one in service or list(Service):
        try:
            found = _parked(one)
        except Refused as refused:
            worst = max(worst, tell(refused, as_json=as_json, service=one.value))
            continue
        count += len(found)
        for case in found:
            _show_parked(one, case, as_json=as_json)
    if not count and not as_json and worst is Exit.DONE:
        typer.echo("nothing is parked")
    raise typer.Exit(worst)


def _parked(service: Service) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = Caller(Role.OPS).get(service, "/ops/parked")["items"]
    return found


def _show_parked(service: Service, case: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({"service": service.value, **case})
        return
    typer.echo(
        f"{service.value:<20} {case['case_id']}  {case['reason']}  since {case['parked_at']}  "
        f"{case['records']} records, {case['safety_records']} of them safety-relevant"
    )


def redrive(
    *,
    service: Annotated[Service, typer.Option(help="The service at which the events wait.")],
    reason: Annotated[str, typer.Option(help="Why it can go on now; kept in the audit.")],
    case: Annotated[
        UUID | None, typer.Option("--case", help="Only this case; else all, the oldest first.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do everything and roll it back.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Apply parked events again, in the order of each case, as far as it goes.

    Example: tandem events redrive --service notification --reason "fixed in 1.2" --dry-run

    Exit codes: 0 nothing of the cases waits any more (with --dry-run: would wait), 1 a case stopped
    at a record or was refused, 2 bad usage, 3 input refused, 4 the service cannot be reached.
    """
    try:
        cases = [str(case)] if case else [str(found["case_id"]) for found in _parked(service)]
        body = {"reason": reason, "dry_run": dry_run}
        done = [_redriven(service, one, body, as_json=as_json) for one in cases]
    except Refused as refused:
        end(refused, as_json=as_json)
    raise typer.Exit(Exit.DONE if all(done) else Exit.FAILED)


def _redriven(service: Service, case_id: str, body: Mapping[str, Any], *, as_json: bool) -> bool:
    """Whether nothing of the case waits any more; its report is printed."""
    report = Caller(Role.OPS).post(service, f"/ops/parked/{case_id}/redrive", body)
    if as_json:
        print_json({"service": service.value, **report})
    else:
        _show_report(report)
    return bool(report["unparked"])


def _show_report(report: Mapping[str, Any]) -> None:
    verb = "would go on" if report["dry_run"] else "goes on"
    state = verb if report["unparked"] else "still waits"
    typer.echo(f"{report['case_id']}: {state}")
    for record in report["records"]:
        typer.echo(f"  record {record['record_id']}: {record['outcome']} {record['detail'] or ''}")
