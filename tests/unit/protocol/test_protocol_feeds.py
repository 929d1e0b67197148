"""A feed that is silent: it shuts, it never opens, and it hides nothing that is known."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from protocol_asking import PROTOCOL, facts
from protocol_strategies import instants, records
from test_protocol_loader import TEXTS, read

from services.intake.domain.assessment import assess, hold_changes
from shared.contracts.vocabulary import Verdict
from shared.protocol import Gate, decide, hold_findings, timeline
from shared.protocol.loader import RulebookError

HEARD = datetime(2027, 3, 9, 10, tzinfo=UTC)
LIMIT = timedelta(hours=24)
bounded = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
FEEDS = sorted(PROTOCOL.feeds)
RANK = {verdict: rank for rank, verdict in enumerate(Verdict)}
SHUT = {Gate.ELIGIBILITY, Gate.COLLECTION, Gate.MANUFACTURING_START, Gate.INFUSION, Gate.DOSE_ISSUE}


def silence(feed: str = "laboratory_feed", **rest: Any) -> dict[str, Any]:
    given_heard = {"heard_at": HEARD.isoformat(), "effective": HEARD.isoformat()}
    return {"kind": "silence", "id": f"silence/{feed}", "feed": feed, **given_heard, **rest}


silences = st.builds(
    lambda feed, heard, gap: silence(
        feed,
        heard_at=heard.isoformat(),
        effective=heard.isoformat(),
        **({} if gap is None else {"heard_again_at": (heard + gap).isoformat()}),
    ),
    st.sampled_from(FEEDS),
    instants,
    st.none() | st.timedeltas(timedelta(hours=1), timedelta(days=9)),
)


def blocking(stated: list[dict[str, Any]], gate: Gate, at: datetime) -> set[tuple[str, str]]:
    decision = decide(PROTOCOL, facts(*stated), gate, at)
    return {(f.rule, f.episode) for f in decision.blocking if not f.only_evidence}


@bounded
@given(stated=records, quiet=silences, gate=st.sampled_from(list(Gate)), at=instants)
def test_silence_never_opens_a_gate_and_ends_nothing_that_is_known(
    stated: list[dict[str, Any]], quiet: dict[str, Any], gate: Gate, at: datetime
) -> None:
    before = decide(PROTOCOL, facts(*stated), gate, at)
    after = decide(PROTOCOL, facts(*stated, quiet), gate, at)

    assert RANK[after.verdict] >= RANK[before.verdict]
    assert after.plan == before.plan
    assert blocking(stated, gate, at) == blocking([*stated, quiet], gate, at)
    assert hold_findings(before) == hold_findings(after)


@bounded
@given(stated=records, quiet=silences, gate=st.sampled_from(list(Gate)), at=instants)
def test_being_heard_again_leaves_exactly_the_decision_without_the_silence(
    stated: list[dict[str, Any]], quiet: dict[str, Any], gate: Gate, at: datetime
) -> None:
    over = {**quiet, "version": 2, "heard_again_at": at.isoformat()}

    without = decide(PROTOCOL, facts(*stated), gate, at)
    after = decide(PROTOCOL, facts(*stated, quiet, over), gate, at)

    assert after.verdict == without.verdict
    assert [f.rule for f in after.blocking] == [f.rule for f in without.blocking]


@bounded
@given(data=st.data(), quiet=st.lists(silences, min_size=1, max_size=4), at=instants)
def test_silences_converge_in_any_order_and_however_often_they_arrive(
    data: st.DataObject, quiet: list[dict[str, Any]], at: datetime
) -> None:
    named = [{**one, "id": f"silence/{number}"} for number, one in enumerate(quiet)]
    closed = [{**one, "version": 2, "heard_again_at": at.isoformat()} for one in named[:2]]
    stated = [*named, *closed]
    arrived = data.draw(st.permutations(stated))

    one, other = (decide(PROTOCOL, facts(*part), Gate.INFUSION, at) for part in (stated, arrived))

    assert one.to_json() == other.to_json()


@pytest.mark.parametrize("gate", list(Gate))
def test_the_timeline_changes_at_the_limit_and_at_no_other_instant(gate: Gate) -> None:
    found = timeline(PROTOCOL, facts(silence()), gate, HEARD, HEARD + timedelta(days=3))

    begins = [part.begins for part in found if "FEED-LAB" in part.rules]
    assert begins == ([HEARD + LIMIT] if gate in SHUT else [])


def test_the_finding_says_who_is_silent_when_it_was_heard_and_since_when_it_is_unknown() -> None:
    stated = silence(source="lab-north")

    decision = decide(PROTOCOL, facts(stated), Gate.INFUSION, HEARD + LIMIT)

    (found,) = [f for f in decision.findings if f.rule == "FEED-LAB"]
    assert found.since == HEARD + LIMIT
    assert found.is_unknown
    assert found.message.startswith(
        "The laboratory feed (lab-north) is silent: last heard 9 Mar 2027 13:00, "
        "unknown since 10 Mar 2027 13:00."
    )


def test_silence_asks_for_no_hold() -> None:
    assessment = assess(PROTOCOL, facts(silence()), HEARD + LIMIT)

    placed = {hold.finding.rule for hold in hold_changes(assessment, {}).to_place}
    assert placed & {"FEED-LAB", "DATA-011"} == set()


def test_a_feed_described_twice_is_refused_with_its_line() -> None:
    text = TEXTS["coordination"].replace("feed: ordering_feed", "feed: laboratory_feed")

    with pytest.raises(RulebookError, match="feed 'laboratory_feed' is described twice"):
        read(coordination=text)


def test_a_feed_that_supplies_what_nothing_asks_for_is_refused() -> None:
    text = TEXTS["coordination"].replace("supplies: [patient,", "supplies: [tarot,")

    with pytest.raises(RulebookError, match="'tarot' is neither an item nor a kind of statement"):
        read(coordination=text)
