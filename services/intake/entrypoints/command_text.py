"""Prints the answers of the file commands, for people and as JSON lines.

Invariant: the text says that the protocol is a draft wherever it is one, and that evidence was
assumed wherever it was.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from shared.protocol import ChecklistItem, Decision, Interval


def json_line(value: Mapping[str, Any]) -> None:
    """Print one JSON object on one line."""
    typer.echo(json.dumps(value, ensure_ascii=False))


def _headline(head: Mapping[str, Any]) -> None:
    protocol = head["protocol"]
    draft = "  DRAFT: not for use with patients" if protocol["status"] == "draft" else ""
    typer.echo(f"{head['bundle']}  {head['subject'] or ''}".rstrip())
    typer.echo(f"protocol {protocol['id']} {protocol['version']}{draft}")


def decision_text(head: Mapping[str, Any], decisions: Sequence[Decision]) -> None:
    """Print decisions with all findings, worst first."""
    _headline(head)
    for decision in decisions:
        shown = decision.to_json()
        typer.echo(f"\n{shown['gate']} at {shown['at']}: {decision.code} (plan: {shown['plan']})")
        if decision.assume_other_evidence_current:
            typer.echo("  evidence that is not mentioned is assumed to be present and passing")
        for finding in shown["findings"]:
            typer.echo(f"  {finding['effect']:<16}{finding['rule']:<12}{finding['message']}")
        if shown["earliest"]:
            bound = "not before" if decision.undated else "from"
            typer.echo(f"  earliest: {bound} {shown['earliest']}")
        if decision.undated:
            typer.echo(f"  without a date: {', '.join(decision.undated)}")
        for due in shown["due"]:
            window = f"{due['not_before']} to {due['not_after']}"
            typer.echo(f"  due: {due['item']}, {window}, {due['owner']}")


def timeline_text(head: Mapping[str, Any], intervals: Sequence[Interval]) -> None:
    """Print one line an interval."""
    _headline(head)
    for interval in intervals:
        shown = interval.to_json()
        rules = ", ".join(interval.rules)
        typer.echo(
            f"  {shown['from']}  {shown['to']}  start {shown['start']:<16}"
            f"plan {shown['plan']:<16}{rules}"
        )


def checklist_text(head: Mapping[str, Any], items: Sequence[ChecklistItem]) -> None:
    """Print one line an item, and its questions below it."""
    _headline(head)
    for item in items:
        sources = f"  [{', '.join(item.sources)}]" if item.sources else ""
        typer.echo(f"  {item.state.value:<14}{item.message}{sources}")
        for question in item.questions:
            typer.echo(f"  {'':<14}? {question}")
