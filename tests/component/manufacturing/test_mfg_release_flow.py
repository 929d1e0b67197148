"""From the booked collection to the released batch: what must never be released is refused."""

from datetime import timedelta
from uuid import UUID

import pytest
from mfg_rig import CRYO_RESULTS, FRESH_RESULTS, Answer, Plant

from shared.contracts.vocabulary import Role
from shared.persistence.database import ConstraintError

pytestmark = pytest.mark.component


async def test_a_fresh_dose_reaches_its_infusion(plant: Plant) -> None:
    case_id = await plant.open_case()
    _, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)

    issued = await plant.issue(doses[0], infusion_id)

    assert issued.status == 200, issued.body
    assert issued.body["go"] is True
    shown = await plant.get(f"/doses/{doses[0]}")
    assert shown.body["state"] == "issued"
    (event,) = await plant.events("dose-issued")
    assert event["infusion_id"] == str(infusion_id)
    assert event["case_id"] == str(case_id)


async def test_each_step_of_the_way_is_told_once_and_in_order(plant: Plant) -> None:
    case_id = await plant.open_case()

    await plant.release(case_id)

    told = await plant.rows("SELECT headers->>'ce_type' AS kind FROM outbox ORDER BY id")
    kinds = [row["kind"].split(".")[2] for row in told]
    expected = [
        "collection-booked",
        "permit-outcome",
        "collection-done",
        "material-received",
        "measure-recorded",
        "measure-recorded",
        "permit-outcome",
        "batch-started",
        "harvested",
        *["qc-result-recorded"] * len(FRESH_RESULTS),
        "batch-released-conditionally",
    ]
    assert kinds == expected


async def test_every_change_of_state_has_its_entry_in_the_audit(plant: Plant) -> None:
    case_id = await plant.open_case()

    await plant.release(case_id)

    rows = await plant.rows(
        "SELECT action, count(*) AS entries FROM audit_entry WHERE case_id = $1 GROUP BY action",
        case_id,
    )
    counts = {row["action"]: row["entries"] for row in rows}
    once = {
        "collection-booked", "container-labelled", "collection-started", "collection-done",
        "material-received", "culture-started", "doses-filled", "batch-released",
    }  # fmt: skip
    assert {action for action, n in counts.items() if n == 1} >= once
    assert counts["release-signed"] == 2
    assert counts["step-recorded"] == 4  # activate, expand, harvest, formulate
    assert counts["qc-result-recorded"] == len(FRESH_RESULTS)


async def test_a_release_with_sterility_pending_is_a_state_of_its_own(plant: Plant) -> None:
    case_id = await plant.open_case()

    batch_id, doses = await plant.release(case_id)

    batch = await plant.get(f"/batches/{batch_id}")
    assert batch.body["state"] == "released_sterility_pending"
    assert batch.body["pending"] == ["sterility_14d"]
    dose = await plant.get(f"/doses/{doses[0]}")
    assert dose.body["sterility_pending"] is True
    (event,) = await plant.events("batch-released-conditionally")
    assert event["pending"] == ["sterility_14d"]
    assert await plant.events("batch-released") == []


async def test_the_final_sterility_result_lets_two_people_release_finally(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.release(case_id, form="cryopreserved")
    plant.clock.advance(days=14)

    early = await plant.sign(batch_id, "u-qa-1")
    await plant.report(batch_id, "sterility_14d", "no_growth")
    first = await plant.sign(batch_id, "u-qa-1")
    second = await plant.sign(batch_id, "u-qa-2")

    assert "test-missing" in early.codes
    assert (first.status, second.status) == (202, 200)
    assert second.body["state"] == "released"
    dose = await plant.get(f"/doses/{doses[0]}")
    assert dose.body["sterility_pending"] is False
    (event,) = await plant.events("batch-released")
    assert set(event["dose_ids"]) == {str(d) for d in doses}


@pytest.mark.parametrize("test", ["viability_fresh", "sterility_rapid_and_gram", "label_identity"])
async def test_no_release_with_a_missing_test(plant: Plant, test: str) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id, {t: r for t, r in FRESH_RESULTS.items() if t != test})

    refused = await plant.sign(batch_id, "u-qa-1")

    assert refused.status == 409
    assert [(r["code"], r["subject"]) for r in refused.body["reasons"]] == [("test-missing", test)]
    assert await plant.rows("SELECT 1 FROM release_signature") == []


@pytest.mark.parametrize(
    ("test", "value", "unit", "code"),
    [
        ("viability_fresh", "79.9", "%", "test-failed"),
        ("cd19_pct", "5.1", "%", "test-failed"),
        ("sterility_rapid_and_gram", "growth", None, "test-failed"),
        ("viability_fresh", "92", "{ratio}", "test-unknown"),
        ("viability_fresh", "> 90", "%", "test-unknown"),
        ("mycoplasma_nat", "fine", None, "test-unknown"),
        ("cd3_cd56_pct", "16", "%", "test-review"),
    ],
)
async def test_no_release_with_a_test_that_does_not_pass(
    plant: Plant, test: str, value: str, unit: str | None, code: str
) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id, {**FRESH_RESULTS, test: (value, unit)})

    refused = await plant.sign(batch_id, "u-qa-1")

    assert refused.status == 409
    assert refused.codes == {code}


async def test_a_refused_release_stays_on_the_audit(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)

    await plant.sign(batch_id, "u-qa-1")

    rows = await plant.rows(
        "SELECT body FROM audit_entry WHERE action = 'release-refused' AND case_id = $1", case_id
    )
    assert len(rows) == 1
    assert "test-missing" in str(rows[0]["body"])


async def test_no_release_by_one_person_alone(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id)

    first = await plant.sign(batch_id, "u-qa-1")
    again = await plant.sign(batch_id, "u-qa-1")

    assert (first.status, again.status) == (202, 409)
    assert again.codes == {"signed-already"}
    assert (await plant.get(f"/batches/{batch_id}")).body["state"] == "formulated"


async def test_no_release_by_the_batchs_own_operator(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)  # the steps were done by u-lab
    await plant.report_all(batch_id)

    refused = await plant.sign(batch_id, "u-lab", role=Role.QA_RELEASE)

    assert refused.status == 409
    assert refused.codes == {"signer-is-operator"}


async def test_the_database_refuses_the_operators_signature_too(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)

    with pytest.raises(ConstraintError) as refused:
        await plant.run(
            "INSERT INTO release_signature VALUES"
            " ($1, 1, 'u-lab', 'L', '{qa_release}', 'approved_for_use', '{}', now())",
            batch_id,
        )

    assert refused.value.constraint == "signer_is_no_operator"


async def test_the_database_refuses_one_signer_twice(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.run(
        "INSERT INTO release_signature VALUES"
        " ($1, 1, 'u-qa-1', 'Q', '{qa_release}', 'approved_for_use', '{}', now())",
        batch_id,
    )

    with pytest.raises(ConstraintError) as refused:
        await plant.run(
            "INSERT INTO certificate VALUES"
            " (gen_random_uuid(), $1, 1, 'u-qa-1', 'u-qa-1', false, '1', now())",
            batch_id,
        )

    assert refused.value.constraint == "certificate_two_signers"


async def test_new_evidence_voids_the_first_signature(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id)
    await plant.sign(batch_id, "u-qa-1")

    await plant.report(batch_id, "cd3_pct", "94", "%")
    second = await plant.sign(batch_id, "u-qa-2")

    assert second.status == 202  # it is a first signature again


async def test_a_signature_over_an_older_state_is_refused(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id)
    seen = (await plant.get(f"/batches/{batch_id}")).headers["etag"]
    await plant.report(batch_id, "cd3_pct", "94", "%")

    stale = await plant.post(
        f"/batches/{batch_id}/release",
        {"meaning": "approved_for_use"},
        by=("u-qa-1", Role.QA_RELEASE),
        if_match=seen,
    )

    assert stale.status == 412
    assert stale.body["code"] == "stale-version"


async def test_an_open_deviation_blocks_and_its_opener_cannot_close_it(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id)
    qa = ("u-qa-1", Role.QA_RELEASE)
    opened = await plant.done(f"/batches/{batch_id}/deviations", {"kind": "process"}, by=qa)
    close = f"/batches/{batch_id}/deviations/{opened['deviation_id']}/close"
    conclusion = {"conclusion": "no influence on the product"}

    blocked = await plant.sign(batch_id, "u-qa-2")
    by_opener = await plant.post(close, conclusion, by=qa)
    by_other = await plant.post(close, conclusion, by=("u-qa-3", Role.QA_RELEASE))

    assert blocked.codes == {"deviation-open"}
    assert (by_opener.status, by_opener.codes) == (409, {"same-person"})
    assert by_other.status == 200
    assert (await plant.sign(batch_id, "u-qa-2")).status == 202


async def test_a_retest_keeps_the_first_result_and_needs_a_closed_deviation(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id, {**FRESH_RESULTS, "viability_fresh": ("70", "%")})
    opened = await plant.done(f"/batches/{batch_id}/deviations", {"kind": "out_of_specification"})
    dossier = (await plant.get(f"/batches/{batch_id}/dossier")).body
    failed = next(r for r in dossier["results"] if r["test"] == "viability_fresh")
    again = {"retest_of": failed["result_id"], "deviation_id": opened["deviation_id"]}

    unlinked = await plant.report(
        batch_id, "viability_fresh", "91", "%", retest_of=failed["result_id"]
    )
    await plant.report(batch_id, "viability_fresh", "91", "%", **again)
    still_open = await plant.sign(batch_id, "u-qa-1")
    await plant.done(
        f"/batches/{batch_id}/deviations/{opened['deviation_id']}/close",
        {"conclusion": "laboratory error"},
        by=("u-qa-3", Role.QA_RELEASE),
    )
    closed = await plant.sign(batch_id, "u-qa-1")

    assert unlinked.codes == {"deviation-unknown"}
    assert still_open.codes == {"deviation-open", "test-failed"}
    assert closed.status == 202
    kept = (await plant.get(f"/batches/{batch_id}/dossier")).body["results"]
    values = [r["value"] for r in kept if r["test"] == "viability_fresh"]
    assert values == ["70", "91"]


async def test_a_skipped_step_blocks_until_it_is_recorded(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, label = await plant.grow(case_id)
    activated_at = plant.now() + timedelta(days=1)
    for step, days in (("expand", 4), ("harvest", 17)):
        plant.clock.advance(days=days)
        assert (await plant.step(batch_id, label, step)).status == 201
    plant.clock.advance(hours=2)
    assert (await plant.step(batch_id, label, "formulate", form="fresh", doses=1)).status == 201
    await plant.report_all(batch_id)

    skipped = await plant.sign(batch_id, "u-qa-1")
    late = await plant.step(batch_id, label, "activate", performed_at=activated_at.isoformat())
    complete = await plant.sign(batch_id, "u-qa-1")

    assert [(r["code"], r["subject"]) for r in skipped.body["reasons"]] == [
        ("step-missing", "activate")
    ]
    assert late.status == 201, late.body
    assert complete.status == 202


async def test_a_step_cannot_be_recorded_before_an_earlier_one(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, label = await plant.grow(case_id)
    before_culture = plant.now() - timedelta(hours=1)

    refused = await plant.step(batch_id, label, "activate", performed_at=before_culture.isoformat())

    assert refused.codes == {"time-order"}


async def test_a_harvest_outside_its_window_cannot_be_released(plant: Plant) -> None:
    # MFG-004: day 14 to 28 of the culture; here day 10
    case_id = await plant.open_case()
    batch_id, label = await plant.grow(case_id)
    for step, days in (("activate", 1), ("expand", 3), ("harvest", 6)):
        plant.clock.advance(days=days)
        await plant.step(batch_id, label, step)
    await plant.step(batch_id, label, "formulate", form="fresh", doses=1)
    await plant.report_all(batch_id)

    refused = await plant.sign(batch_id, "u-qa-1")

    assert [(r["code"], r["rule"]) for r in refused.body["reasons"]] == [
        ("harvest-window", "MFG-004")
    ]


async def test_no_release_while_the_authority_keeps_the_gate_shut(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id)
    # rules that are judged here are not the authority's to repeat
    plant.intake.shut_by = ["MFG-005", "REL-CD3", "MFG-004"]

    refused = await plant.sign(batch_id, "u-qa-1")

    assert [(r["code"], r["rule"]) for r in refused.body["reasons"]] == [("gate-shut", "MFG-005")]


async def test_no_release_while_the_authority_is_away(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id)
    plant.intake.up = False

    refused = await plant.sign(batch_id, "u-qa-1")

    assert refused.codes == {"authority-unreachable"}


async def test_an_expired_fresh_product_is_not_released(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    await plant.report_all(batch_id)
    plant.clock.advance(hours=24)

    refused = await plant.sign(batch_id, "u-qa-1")

    assert refused.codes == {"expired"}


async def test_a_frozen_batch_needs_its_own_tests(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id, form="cryopreserved")
    await plant.report_all(
        batch_id, {t: r for t, r in CRYO_RESULTS.items() if t != "viability_post_thaw"}
    )

    refused = await plant.sign(batch_id, "u-qa-1")

    assert [r["subject"] for r in refused.body["reasons"]] == ["viability_post_thaw"]


async def test_a_rejected_batch_is_never_released_and_its_doses_are_gone(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.formulate(case_id)
    await plant.report_all(batch_id)
    qa = ("u-qa-1", Role.QA_RELEASE)

    rejected = await plant.post(f"/batches/{batch_id}/reject", {"rules": ["REL-APPEAR"]}, by=qa)
    refused = await plant.sign(batch_id, "u-qa-2")

    assert rejected.body["state"] == "rejected"
    assert refused.codes == {"wrong-state"}
    assert (await plant.get(f"/doses/{doses[0]}")).body["state"] == "discarded"
    with pytest.raises(ConstraintError) as kept:
        await plant.run("UPDATE batch SET state = 'FORMULATED' WHERE batch_id = $1", batch_id)
    assert kept.value.constraint == "batch_end_is_final"


def reasons(answer: Answer) -> list[tuple[str, str | None]]:
    return [(r["code"], r["rule"]) for r in answer.body["reasons"]]


@pytest.mark.parametrize(
    ("viability", "cells", "expected"),
    [
        (None, "2.5e8", [("measure-missing", "MFG-002")]),
        ("79", "2.5e8", [("measure-failed", "MFG-002")]),
        ("93", "4.9e7", [("measure-failed", "MFG-003")]),
        ("93", None, [("measure-missing", "MFG-003")]),
        ("about 90", "2.5e8", [("measure-failed", "MFG-002")]),
    ],
)
async def test_no_culture_without_good_starting_material(
    plant: Plant, viability: str | None, cells: str | None, expected: list[tuple[str, str]]
) -> None:
    case_id = await plant.open_case()
    batch_id, label = await plant.receive(case_id)
    if viability is not None:
        await plant.measure(batch_id, "start_viability", viability, "%")
    if cells is not None:
        await plant.measure(batch_id, "start_mnc", cells, "1")
    asked = len(plant.intake.permits)

    refused = await plant.start_culture(batch_id, label)

    assert refused.status == 409
    assert reasons(refused) == expected
    assert len(plant.intake.permits) == asked  # nobody was asked


async def test_no_culture_later_than_the_limit_after_the_collection(plant: Plant) -> None:
    # MFG-001: 48 h is the limit
    case_id = await plant.open_case()
    batch_id, label = await plant.receive(case_id)
    await plant.measure(batch_id, "start_viability", "93", "%")
    await plant.measure(batch_id, "start_mnc", "2.5e8", "1")
    plant.clock.advance(hours=48)

    refused = await plant.start_culture(batch_id, label)

    assert reasons(refused) == [("start-too-late", "MFG-001")]


async def test_what_the_gates_read_is_on_the_record_before_the_permit_is_asked(
    plant: Plant,
) -> None:
    case_id = await plant.open_case()

    await plant.grow(case_id)

    stated = {f.get("item") or f["metric"] for f in plant.intake.facts.values()}
    assert stated == {"identity_check", "coi_label", "start_viability", "start_mnc"}
    facts_at = [i for i, (_, url) in enumerate(plant.intake.calls) if url.endswith("/facts")]
    permits_at = [i for i, (_, url) in enumerate(plant.intake.calls) if "/permits/" in url]
    assert max(facts_at) < max(permits_at)


async def test_a_start_waits_for_its_measures_to_be_on_the_record(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, label = await plant.receive(case_id)
    await plant.measure(batch_id, "start_viability", "93", "%")
    await plant.measure(batch_id, "start_mnc", "2.5e8", "1")
    plant.intake.up = False

    refused = await plant.start_culture(batch_id, label)

    assert (refused.status, refused.body["code"]) == (503, "authority-unreachable")
    assert (await plant.get(f"/batches/{batch_id}")).body["state"] == "received"


async def test_a_refused_permit_starts_nothing_and_says_why(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, label = await plant.receive(case_id)
    await plant.measure(batch_id, "start_viability", "93", "%")
    await plant.measure(batch_id, "start_mnc", "2.5e8", "1")
    plant.intake.refuse_permits = "hold-open"

    refused = await plant.start_culture(batch_id, label)

    assert (refused.status, refused.body["code"]) == (409, "hold-open")
    assert refused.body["clearance"] == {"epoch": 0, "version": 1}
    assert (await plant.get(f"/batches/{batch_id}")).body["state"] == "received"


async def test_the_second_checker_is_another_person(plant: Plant) -> None:
    case_id = await plant.open_case()
    collection_id = await plant.book(case_id)
    await plant.label(collection_id)

    refused = await plant.post(
        f"/collections/{collection_id}/start",
        {"second_checker": "u-doc"},
        by=("u-doc", Role.APHERESIS_PHYSICIAN),
        if_match='"0.0"',
    )

    assert refused.codes == {"same-person"}


async def test_a_collection_starts_only_with_a_labelled_container(plant: Plant) -> None:
    case_id = await plant.open_case()
    collection_id = await plant.book(case_id)

    refused = await plant.post(
        f"/collections/{collection_id}/start",
        plant.press_body(),
        by=("u-doc", Role.APHERESIS_PHYSICIAN),
        if_match='"0.0"',
    )

    assert refused.codes == {"label-missing"}


async def test_a_repeated_press_is_answered_with_the_state_and_never_with_a_go(
    plant: Plant,
) -> None:
    case_id = await plant.open_case()
    collection_id = await plant.book(case_id)
    await plant.label(collection_id)
    path, chair = f"/collections/{collection_id}/start", ("u-doc", Role.APHERESIS_PHYSICIAN)
    body = plant.press_body()

    first = await plant.post(path, body, by=chair, if_match='"0.0"', key="press-1")
    again = await plant.post(path, body, by=chair, if_match='"0.0"', key="press-1")

    assert first.body["go"] is True
    assert again.body == {
        "go": False,
        "start_id": first.body["start_id"],
        "permit_id": first.body["permit_id"],
        "state": "RUNNING",
        "go_at": again.body["go_at"],
    }
    assert again.headers["idempotency-replayed"] == "true"
    assert len(plant.intake.permits) == 1


async def test_a_command_sent_twice_has_its_effect_once(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, _ = await plant.formulate(case_id)
    body = {"test": "cd3_pct", "value": "95", "unit": "%", "reported_at": plant.now().isoformat()}

    first = await plant.post(f"/batches/{batch_id}/qc-results", body, key="qc-1")
    again = await plant.post(f"/batches/{batch_id}/qc-results", body, key="qc-1")

    assert first.body == again.body
    assert len(await plant.rows("SELECT 1 FROM qc_result")) == 1
    assert len(await plant.events("qc-result-recorded")) == 1


async def test_the_genealogy_leads_from_the_collection_to_the_infusion(plant: Plant) -> None:
    case_id = await plant.open_case()
    batch_id, doses = await plant.release(case_id)
    infusion_id = await plant.plan_infusion(case_id)
    await plant.issue(doses[1], infusion_id)

    tree = (await plant.get(f"/batches/{batch_id}/genealogy")).body

    assert tree["collection"]["state"] == "done"
    assert tree["material"]["custody"][0]["receiver"] == "u-lab"
    assert tree["certificate"]["signed_by"] == ["u-qa-1", "u-qa-2"]
    assert [UUID(d["dose_id"]) for d in tree["doses"]] == doses
    assert [len(d["issues"]) for d in tree["doses"]] == [0, 1]
    assert tree["doses"][1]["issues"][0]["infusion_id"] == str(infusion_id)
