"""Reads the sections that other services plan and work by (see plans.py)."""

from collections.abc import Container
from fractions import Fraction

from shared.protocol.lined import Row
from shared.protocol.rulebook import plans as p
from shared.protocol.rulebook.heads import roles, source


def read_plans(top: Row, references: Container[str]) -> p.Plans:
    """Return schedules, process, monitoring, reactions, follow-up, response and escalation."""
    infusion, monitoring = top.row("infusion"), top.row("monitoring")
    rate, premedication = infusion.row("rate"), infusion.row("premedication")
    plan = top.row("manufacturing").row("plan")
    return p.Plans(
        schedules=tuple(_schedule(row, references) for row in top.rows("schedules")),
        harvest=p.HarvestPlan(
            plan.whole("harvest_day_min"),
            plan.whole("harvest_day_target"),
            plan.whole("harvest_day_max"),
        ),
        process=tuple(
            p.ProcessStep(str(row.need("day")), row.text("step"), source(row, references))
            for row in top.row("manufacturing").rows("process")
        ),
        methods=tuple(_method(row, references) for row in top.row("collection").rows("methods")),
        monitored_vitals=monitoring.texts("vitals"),
        monitoring=tuple(_monitoring(row, references) for row in monitoring.rows("schedule")),
        stop_triggers=tuple(_trigger(row, references) for row in monitoring.rows("stop_triggers")),
        reactions=_reactions(top, references),
        rate=p.InfusionRate(
            rate.whole("min_duration_min"),
            rate.whole("target_duration_min"),
            rate.number("first_15min_fraction"),
        ),
        premedication=premedication.texts("give"),
        premedication_avoid=premedication.texts("avoid"),
        follow_up=tuple(_follow_up(row, references) for row in top.rows("follow_up")),
        responses=_responses(top, references),
        escalation=tuple(_level(row, references) for row in top.rows("escalation_levels")),
        red_flags=_red_flags(top, references),
        principles=tuple(_principle(row, references) for row in top.rows("principles")),
    )


def _schedule(row: Row, references: Container[str]) -> p.Schedule:
    weeks = tuple(int(week) for week in row.need("intervals_wk"))
    read = p.Schedule(
        row.text("id"), row.text("use"), row.whole("n"), weeks, source(row, references)
    )
    if read.n != len(weeks) + 1:
        raise row.bad("n infusions need n - 1 intervals")
    row.done()
    return read


def _method(row: Row, references: Container[str]) -> p.CollectionMethod:
    volume = row.get("volume_mL")
    pair = None if volume is None else (int(volume[0]), int(volume[1]))
    return p.CollectionMethod(row.text("id"), pair, source(row, references))


def _monitoring(row: Row, references: Container[str]) -> p.MonitoringStep:
    first = row.get("first_infusion_only")
    return p.MonitoringStep(
        id=row.text("id"),
        phase=row.text("phase"),
        at=row.text("at") if row.has("at") else None,
        every_minutes=row.whole_or_none("every_min"),
        until_minutes=row.whole_or_none("until_min"),
        then_every_minutes=row.whole_or_none("then_every_min"),
        for_minutes=row.whole_or_none("for_min"),
        first_infusion_only=None if first is None else bool(first),
        source=source(row, references),
    )


def _trigger(row: Row, references: Container[str]) -> p.StopTrigger:
    return p.StopTrigger(
        row.text("id"),
        row.texts("any"),
        row.text("action"),
        row.text("escalate"),
        source(row, references),
    )


def _reactions(top: Row, references: Container[str]) -> tuple[p.ReactionGrade, ...]:
    section = top.row("reactions")
    return tuple(
        _grade(scale, row, references) for scale in section.names() for row in section.rows(scale)
    )


def _grade(scale: str, row: Row, references: Container[str]) -> p.ReactionGrade:
    bounds = row.get("range_Cel")
    return p.ReactionGrade(
        id=row.text("id"),
        scale=scale,
        grade=row.whole("grade"),
        definition=row.text("def") if row.has("def") else None,
        action=row.text("action") if row.has("action") else None,
        next_step=row.text("next") if row.has("next") else None,
        escalate=row.text("escalate") if row.has("escalate") else None,
        range_celsius=None if bounds is None else _range(row, bounds),
        source=source(row, references),
    )


def _range(row: Row, bounds: list[object]) -> tuple[Fraction, Fraction | None]:
    low, high = bounds
    return row.exact(low, "range_Cel"), None if high is None else row.exact(high, "range_Cel")


def _follow_up(row: Row, references: Container[str]) -> p.FollowUp:
    return p.FollowUp(
        row.text("id"),
        row.whole("day"),
        row.whole("window"),
        row.texts("items"),
        source(row, references),
    )


def _responses(top: Row, references: Container[str]) -> tuple[p.ResponseCode, ...]:
    section = top.row("response")
    return tuple(
        _response(scale, row, references)
        for scale in section.names()
        for row in section.rows(scale)
    )


def _response(scale: str, row: Row, references: Container[str]) -> p.ResponseCode:
    weeks = row.get("confirm_wk")
    return p.ResponseCode(
        row.text("id"),
        scale,
        row.text("code"),
        row.text("def"),
        None if weeks is None else (int(weeks[0]), int(weeks[1])),
        source(row, references),
    )


def _level(row: Row, references: Container[str]) -> p.EscalationLevel:
    return p.EscalationLevel(
        id=row.text("id"),
        name=row.text("name"),
        ack=row.text("ack") if row.has("ack") else None,
        ack_minutes=row.whole_or_none("ack_min"),
        to=roles(row, "to"),
        patient_text=row.text("patient_text") if row.has("patient_text") else None,
        source=source(row, references),
    )


def _red_flags(top: Row, references: Container[str]) -> tuple[p.RedFlagRule, ...]:
    levels = {row.text("id") for row in top.rows("escalation_levels")}
    found = []
    for row in top.rows("red_flags"):
        if row.text("level") not in levels:
            raise row.bad(f"level {row.text('level')!r} is not an escalation level")
        detail = row.text("rule") if row.has("rule") else None
        found.append(
            p.RedFlagRule(
                row.text("id"),
                row.text("symptom"),
                row.text("level"),
                detail,
                source(row, references),
            )
        )
    return tuple(found)


def _principle(row: Row, references: Container[str]) -> p.Principle:
    return p.Principle(row.text("id"), row.text("text"), source(row, references))
