"""Parking on real servers: one case waits, whole and in order; the others go on; redrive, skip."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer

from shared.contracts.coordination import ConsentRecorded, HoldRecorded
from shared.contracts.event import Envelope
from shared.contracts.vocabulary import Gate, HoldKind, OnRunning, Service
from shared.messaging.partitioning import partition_of
from shared.messaging.redrive import (
    Outcome,
    Redrive,
    SecondPersonNeededError,
    Signature,
    parked_cases,
    parked_counts,
    parked_records,
)
from shared.messaging.unit_of_work import Work
from shared.persistence.database import Tx
from tests.integration.messaging.rig import (
    COORDINATION,
    PARTITIONS,
    Rig,
    add_effect,
    eventually,
    judge_effects,
    reactions,
)

pytestmark = pytest.mark.integration

BY = Signature("ops-1", "the cause was mended")
BY_TWO = Signature("ops-1", "it cannot be mended", second="coordinator-1")


def hold(case_id: UUID) -> HoldRecorded:
    return HoldRecorded(
        case_id=case_id, hold_id=uuid4(), epoch=0, version=1, kind=HoldKind.CLINICAL_CONCERN,
        gates=frozenset({Gate.INFUSION}), on_running=OnRunning.STOP, effective=True,
    )  # fmt: skip


class Mendable:
    """A handler with a bug for one case, until somebody mends it."""

    def __init__(self, bad_case: UUID) -> None:
        self.bad_case: UUID | None = bad_case

    async def __call__(self, work: Work[Tx], envelope: Envelope[Any]) -> None:
        if envelope.case_id == self.bad_case and envelope.sequence == 3:
            raise ValueError("cannot read the third event")
        await add_effect(work, envelope)


async def test_a_failing_event_parks_its_case_and_redrive_restores_the_order(rig: Rig) -> None:
    bad = uuid4()
    good = _neighbour_of(bad)
    handler = Mendable(bad)
    mine = reactions({ConsentRecorded: handler})

    async with rig.relay() as relay, rig.consuming(mine):
        emitted = await rig.emit(bad, 6, wake=relay.wake)
        emitted += await rig.emit(good, 6, wake=relay.wake)
        await eventually("the good case is done", lambda: _effects(rig, good, 6))
        await eventually("four records wait", lambda: _waiting(rig, 4))
        assert await _effects(rig, bad, 2)
        assert [alarm.kind for alarm in rig.alarms] == ["case_parked"]
        unpublished = await rig.infusion.fetch("SELECT headers FROM outbox ORDER BY id")
        types = [row["headers"] for row in unpublished]
        assert any("infusion.case-parked" in headers for headers in types)

        redrive = Redrive(mine, rig.infusion.unit_of_work(Service.INFUSION_SCHEDULING))
        early = await redrive.case(bad, BY)
        assert [r.outcome for r in early.records] == [Outcome.FAILED]

        handler.bad_case = None
        rehearsal = await redrive.case(bad, BY, dry_run=True)
        assert [r.outcome for r in rehearsal.records] == [Outcome.APPLIED] * 4
        assert await _effects(rig, bad, 2), "a dry run leaves no effect"
        report = await redrive.case(bad, BY)
        again = await redrive.case(bad, BY)
        following = await rig.emit(bad, 1, wake=relay.wake)
        await eventually("the case goes on", lambda: _effects(rig, bad, 7))

    assert report.unparked
    assert again.records == ()
    verdict = judge_effects(await rig.infusion.effects(), [*emitted, *following])
    assert not verdict.lost
    assert not verdict.doubled
    assert not verdict.misplaced
    parked_events = await rig.infusion.fetch(
        "SELECT headers->>'ce_type' AS type FROM outbox WHERE topic LIKE '%infusion%' ORDER BY id"
    )
    assert [row["type"].split(".")[2] for row in parked_events] == ["case-parked", "case-unparked"]
    audit = await rig.infusion.value("SELECT count(*) FROM audit_entry")
    assert audit == 4


async def test_a_refused_constraint_parks_its_case_alone(rig: Rig) -> None:
    bad = uuid4()
    good = _neighbour_of(bad)
    await rig.infusion.run(f"ALTER TABLE effect ADD CONSTRAINT c CHECK (case_id <> '{bad}')")
    async with rig.relay() as relay, rig.consuming():
        await rig.emit(bad, 2, wake=relay.wake)
        await rig.emit(good, 3, wake=relay.wake)
        await eventually("the good case is done", lambda: _effects(rig, good, 3))
        await eventually("both wait", lambda: _waiting(rig, 2))

    assert await rig.infusion.value("SELECT min(error) FROM parked_record") == "ConstraintError: c"


async def test_only_the_next_record_of_a_case_may_be_redriven(rig: Rig) -> None:
    bad = uuid4()
    handler = Mendable(bad)
    mine = reactions({ConsentRecorded: handler})
    async with rig.relay() as relay, rig.consuming(mine):
        await rig.emit(bad, 5, wake=relay.wake)
        await eventually("three records wait", lambda: _waiting(rig, 3))
    handler.bad_case = None
    redrive = Redrive(mine, rig.infusion.unit_of_work(Service.INFUSION_SCHEDULING))
    ids = await _waiting_ids(rig, bad)

    refused = await redrive.one(ids[1], BY)
    done = await redrive.one(ids[0], BY)

    assert [r.outcome for r in refused.records] == [Outcome.NOT_FIRST]
    assert [r.outcome for r in done.records] == [Outcome.APPLIED]
    assert not done.unparked
    group = await redrive.group(BY, cause="handler-failed")
    assert [report.unparked for report in group] == [True]


async def test_a_safety_event_is_skipped_by_two_people_only(rig: Rig) -> None:
    case = uuid4()
    mine = reactions({HoldRecorded: _always_fails, ConsentRecorded: add_effect})
    async with rig.relay() as relay, rig.consuming(mine):
        await rig.emit(case, 1, wake=relay.wake, event=hold)
        await rig.emit(case, 2, wake=relay.wake)
        await eventually("three records wait", lambda: _waiting(rig, 3))
    redrive = Redrive(mine, rig.infusion.unit_of_work(Service.INFUSION_SCHEDULING))
    first = (await _waiting_ids(rig, case))[0]

    with pytest.raises(SecondPersonNeededError):
        await redrive.skip(first, BY)
    with pytest.raises(SecondPersonNeededError):
        await redrive.skip(first, Signature("ops-1", "same person", second="ops-1"))
    skipped = await redrive.skip(first, BY_TWO)
    report = await redrive.case(case, BY)

    assert [r.outcome for r in skipped.records] == [Outcome.SKIPPED]
    assert [r.outcome for r in report.records] == [Outcome.APPLIED] * 2
    assert report.unparked
    assert [row["sequence"] for row in await rig.infusion.effects()] == [2, 3]


async def test_a_hold_in_a_parked_case_takes_its_safe_half_at_once(rig: Rig) -> None:
    case = uuid4()
    handler = Mendable(case)
    fences: list[tuple[UUID, bool]] = []

    async def fence(_work: Work[Tx], envelope: Envelope[Any]) -> None:
        fences.append((envelope.case_id, True))

    mine = reactions(
        {ConsentRecorded: handler, HoldRecorded: add_effect}, safe_half={HoldRecorded: fence}
    )
    async with rig.relay() as relay, rig.consuming(mine):
        await rig.emit(case, 3, wake=relay.wake)
        await rig.emit(case, 1, wake=relay.wake, event=hold)
        await eventually("two records wait", lambda: _waiting(rig, 2))
        assert fences == [(case, True)]
        assert await _effects(rig, case, 2), "the hold itself waits for its turn"
    handler.bad_case = None

    redrive = Redrive(mine, rig.infusion.unit_of_work(Service.INFUSION_SCHEDULING))
    report = await redrive.case(case, BY)

    assert report.unparked
    assert [row["sequence"] for row in await rig.infusion.effects()] == [1, 2, 3, 4]
    done = await rig.infusion.fetch(
        "SELECT sequence, safe_half_done FROM parked_record ORDER BY id"
    )
    assert [(r["sequence"], r["safe_half_done"]) for r in done] == [(3, False), (4, True)]


@pytest.mark.parametrize(
    ("headers", "body", "cause"),
    [
        ({"ce_type": b"\xff\xfe"}, b"{}", "malformed"),
        ({"ce_type": b"tandem.coordination.consent-recorded.v1"}, b"not json", "malformed"),
        ({"ce_type": b"tandem.coordination.brand-new.v1", "ce_tandemsafety": b"1"}, b"{}",
         "unknown-type"),
    ],
    ids=["header_no_utf8", "body_no_json", "unknown_safety_type"],
)  # fmt: skip
async def test_a_record_that_cannot_be_read_parks_its_case(
    rig: Rig, headers: dict[str, bytes], body: bytes, cause: str
) -> None:
    case = uuid4()
    async with rig.relay() as relay, rig.consuming():
        await rig.emit(case, 1, wake=relay.wake)
        await eventually("the first effect", lambda: _effects(rig, case, 1))
        await send_raw(rig, case, headers, body)
        await eventually("it is parked", lambda: _waiting(rig, 1))
        await rig.emit(case, 1, wake=relay.wake)
        await eventually("the next waits behind it", lambda: _waiting(rig, 2))

    async with rig.infusion.database.transaction() as tx:
        cases = await parked_cases(tx, "infusion_scheduling")
        counts = await parked_counts(tx, "infusion_scheduling")
        records = await parked_records(tx, "infusion_scheduling", case)
    assert [(r["case_id"], r["reason"], r["records"]) for r in cases] == [(case, cause, 2)]
    assert [(r["cause"], r["cases"], r["records"]) for r in counts] == [(cause, 1, 2)]
    assert [r["cause"] for r in records] == [cause, "behind"]
    letters = await rig.infusion.value(
        "SELECT count(*) FROM outbox WHERE topic = 'tandem.dead-letters.v1'"
    )
    assert letters == 1
    redrive = Redrive(reactions(), rig.infusion.unit_of_work(Service.INFUSION_SCHEDULING))
    still = await redrive.case(case, BY)
    assert [r.outcome for r in still.records] == [Outcome.STILL_UNREADABLE]
    skipped = await redrive.skip(records[0]["id"], BY_TWO)
    report = await redrive.case(case, BY)
    assert [r.outcome for r in skipped.records] == [Outcome.SKIPPED]
    assert report.unparked
    assert [row["sequence"] for row in await rig.infusion.effects()] == [1, 2]


async def test_an_unknown_ordinary_type_is_skipped_and_counted(rig: Rig) -> None:
    case = uuid4()
    async with rig.consuming() as kernel:
        await send_raw(
            rig, case,
            {"ce_type": b"tandem.coordination.brand-new.v1", "ce_tandemsafety": b"0",
             "ce_source": b"/tandem/intake", "ce_epoch": b"0", "ce_sequence": b"1"},
            b"{}",
        )  # fmt: skip
        await eventually("it is skipped", lambda: _counted(kernel, "skipped", 1))

    assert await rig.infusion.value("SELECT sequence FROM inbox_head") == 1
    assert await rig.infusion.value("SELECT count(*) FROM parked_case") == 0


@pytest.mark.parametrize("key", [None, b"", b"\xff\xfe", b"no-uuid"])
async def test_a_record_without_a_usable_key_is_a_dead_letter_and_an_alarm(
    rig: Rig, key: bytes | None
) -> None:
    case = uuid4()
    async with rig.relay() as relay, rig.consuming():
        await send_raw(rig, case, {"ce_type": b"x"}, b"{}", key=key)
        await rig.emit(case, 1, wake=relay.wake)
        await eventually("the case goes on", lambda: _effects(rig, case, 1))
        await eventually("the alarm", lambda: _alarmed(rig, "dead_letter"))

    assert await rig.infusion.value("SELECT count(*) FROM dead_letter") == 1
    assert await rig.infusion.value("SELECT count(*) FROM parked_case") == 0


async def send_raw(
    rig: Rig, case: UUID, headers: dict[str, bytes], body: bytes | None,
    *, key: bytes | str | None = "case",
) -> None:  # fmt: skip
    """Produces a record as a foreign or broken producer would."""
    producer = AIOKafkaProducer(bootstrap_servers=rig.infra.kafka_bootstrap)
    await producer.start()
    try:
        await producer.send_and_wait(
            rig.prefix + COORDINATION, body,
            key=str(case).encode() if key == "case" else key,
            headers=list(headers.items()), partition=partition_of(case, PARTITIONS),
        )  # fmt: skip
    finally:
        await producer.stop()


async def _always_fails(_work: Work[Tx], _envelope: Envelope[Any]) -> None:
    raise ValueError("no handler reads this")


def _neighbour_of(case: UUID) -> UUID:
    """Another case on the same partition."""
    wanted = partition_of(case, PARTITIONS)
    return next(c for c in iter(uuid4, None) if partition_of(c, PARTITIONS) == wanted)


async def _effects(rig: Rig, case: UUID, count: int) -> bool:
    return len([r for r in await rig.infusion.effects() if r["case_id"] == case]) == count


async def _waiting(rig: Rig, count: int) -> bool:
    found = await rig.infusion.value("SELECT count(*) FROM parked_record WHERE settled_at IS NULL")
    return bool(found == count)


async def _waiting_ids(rig: Rig, case: UUID) -> list[int]:
    async with rig.infusion.database.transaction() as tx:
        rows = await parked_records(tx, "infusion_scheduling", case)
    return [row["id"] for row in rows]


async def _counted(kernel: Any, name: str, count: int) -> bool:
    return bool(kernel.figures.counted[name] == count)


async def _alarmed(rig: Rig, kind: str) -> bool:
    return kind in [alarm.kind for alarm in rig.alarms]
