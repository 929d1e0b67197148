"""Merged and unmerged records, twins, strangers of one name, changed and re-used record numbers.

On real PostgreSQL, through intake's endpoints: both cases are held whenever a change is pending,
two people decide, and no fact is ever lost.
"""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.contracts.vocabulary import Gate, Role
from shared.persistence.statements import Statement
from tests.component.intake.conftest import NOW, Intake

pytestmark = pytest.mark.component
MRN = "urn:example:mrn"
ALL = {gate.value for gate in Gate}
STEROID = {
    "kind": "medication", "name": "dexamethasone", "route": "oral", "intent": "treatment",
    "doses": [{"mg_per_day": 8, "from": "2027-03-08", "to": "2027-03-12"}],
}  # fmt: skip


def number() -> str:
    return uuid4().hex


async def referred(intake: Intake, *numbers: str, site: str | None = None, **who: str) -> Any:
    body = {"identifiers": [[MRN, n] for n in numbers], **who}
    headers = intake.headers(Role.COORDINATOR)
    return await intake.client.post("/cases", headers=headers, json=body)


async def case_of(intake: Intake, *numbers: str, **who: str) -> str:
    answer = await referred(intake, *numbers, **who)
    assert answer.status_code in {200, 201}, answer.text
    return str(answer.json()["case_id"])


async def report(
    intake: Intake, surviving: str, retired: str, *, act: str = "merges", at: str | None = None,
    **person: Any,
) -> Any:  # fmt: skip
    body = {
        "surviving": [[MRN, surviving]], "retired": [[MRN, retired]], "source": "registration",
        "at": at or NOW.isoformat(), "reason": "told by the registration desk",
    }  # fmt: skip
    headers = intake.sign_in.person(Role.COORDINATOR, subject="u-coordinator", **person)
    return await intake.client.post(f"/identity/{act}", headers=headers, json=body)


async def decide(
    intake: Intake, change_id: str, decision: str = "confirm", *, first: str = "u-qa",
    second: str = "u-nurse", role: Role = Role.QA_RELEASE,
    checked: tuple[str, ...] = ("birth_date", "container_label"),
) -> Any:  # fmt: skip
    token = intake.headers(Role.INFUSION_NURSE, subject=second)["authorization"].split()[1]
    return await intake.client.post(
        f"/identity/changes/{change_id}/{decision}",
        headers=intake.headers(role, subject=first),
        json={"checked": list(checked), "second_signer_token": token},
    )


async def identity_holds(intake: Intake, case_id: str) -> list[set[str]]:
    holds = (await intake.case(case_id))["open_holds"]
    return [set(hold["gates"]) for hold in holds if hold["kind"] == "identity"]


async def kinds(intake: Intake, case_id: str) -> list[str]:
    return [fact["kind"] for fact in (await intake.case(case_id))["facts"]]


async def pair(intake: Intake) -> tuple[str, str, str, str]:
    """(number, case, number, case) of two records."""
    one, other = number(), number()
    return one, await case_of(intake, one), other, await case_of(intake, other)


async def test_a_merge_holds_both_cases_at_every_gate_and_moves_nothing(intake: Intake) -> None:
    one, surviving, other, retired = await pair(intake)
    await intake.report(retired, STEROID)

    answer = await report(intake, one, other)

    assert answer.status_code == 201, answer.text
    assert (answer.json()["surviving_case"], answer.json()["retired_case"]) == (surviving, retired)
    for case_id in (surviving, retired):
        assert await identity_holds(intake, case_id) == [ALL]
        assert "tandem.coordination.identity-merged.v1" in await intake.events(case_id)
    assert await kinds(intake, surviving) == []
    assert await kinds(intake, retired) == ["medication"]
    assert await case_of(intake, other) == retired


async def test_a_merge_told_twice_is_one(intake: Intake) -> None:
    one, surviving, other, _ = await pair(intake)

    first, again = [await report(intake, one, other) for _ in range(2)]
    later = await report(intake, one, other, at="2027-03-11T00:00:00Z")

    assert {a.json()["change_id"] for a in (again, later)} == {first.json()["change_id"]}
    assert await identity_holds(intake, surviving) == [ALL]


async def test_two_other_people_confirm_and_one_case_survives(intake: Intake) -> None:
    one, surviving, other, retired = await pair(intake)
    await intake.report(retired, STEROID)
    held = await intake.client.post(
        f"/cases/{retired}/holds",
        headers=intake.headers(Role.ONCOLOGIST),
        json={"kind": "clinical_concern", "reason": "fever"},
    )
    change = (await report(intake, one, other)).json()["change_id"]

    done = await decide(intake, change)
    again = await decide(intake, change)

    assert held.status_code == 201
    assert (done.status_code, done.json()["state"]) == (200, "CONFIRMED"), done.text
    assert again.json() == done.json()
    assert await kinds(intake, surviving) == ["medication"]
    assert await kinds(intake, retired) == ["medication"]
    shut = [h["rule"] or h["kind"] for h in (await intake.case(surviving))["open_holds"]]
    assert {"STER-001", "clinical_concern"} <= set(shut)
    assert "identity" not in shut
    assert (await intake.case(retired))["status"] == "closed"
    assert await identity_holds(intake, retired) == [ALL], "its material stays its own, and shut"
    assert await case_of(intake, other) == surviving
    origin = await intake.rows(
        "SELECT o.case_id FROM fact_provenance p JOIN fact f USING (fact_id)"
        " JOIN fact o ON o.fact_id = p.from_fact_id WHERE f.case_id = $1",
        UUID(surviving),
    )
    assert [str(row["case_id"]) for row in origin] == [retired]


async def test_what_a_person_reports_at_a_retired_case_is_turned_to_the_survivor(
    intake: Intake,
) -> None:
    one, surviving, other, retired = await pair(intake)
    await intake.report(retired, STEROID)
    (fact,) = (await intake.case(retired))["facts"]
    await decide(intake, (await report(intake, one, other)).json()["change_id"])
    correction = await intake.client.post(
        f"/cases/{retired}/facts/{fact['fact_id']}/corrections",
        headers=intake.headers(Role.COORDINATOR),
        json={"status": "entered-in-error"},
    )

    for answer in (await intake.report(retired, STEROID), correction):
        assert (answer.status_code, answer.json()["code"]) == (409, "case-merged")
        assert answer.json()["case_id"] == surviving
    assert (await intake.report(surviving, STEROID)).status_code == 201


async def test_nobody_decides_alone(intake: Intake) -> None:
    one, surviving, other, _ = await pair(intake)
    change = (await report(intake, one, other)).json()["change_id"]

    async def refused(**how: Any) -> tuple[int, str]:
        answer = await decide(intake, change, **how)
        return answer.status_code, answer.json()["code"]

    assert await refused(second="u-qa") == (409, "second-person")
    assert await refused(first="u-coordinator") == (409, "second-person")
    assert await refused(checked=("birth_date",)) == (409, "two-identifiers")
    assert (await refused(role=Role.COORDINATOR))[0] == 403
    assert await identity_holds(intake, surviving) == [ALL]


async def test_the_hold_of_a_change_is_not_released_by_hand(intake: Intake) -> None:
    one, surviving, other, _ = await pair(intake)
    await report(intake, one, other)
    hold = (await intake.case(surviving))["open_holds"][0]["hold_id"]

    answer = await intake.client.post(
        f"/holds/{hold}/release",
        headers=intake.headers(Role.MEDICAL_DIRECTOR, subject="u-director"),
        json={"reason": "looks fine"},
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "released-by-its-cause")


async def test_a_declined_merge_releases_both_and_changes_nothing(intake: Intake) -> None:
    one, surviving, other, retired = await pair(intake)
    change = (await report(intake, one, other)).json()["change_id"]

    done = await decide(intake, change, "decline")
    late = await decide(intake, change, "confirm")

    assert done.json()["state"] == "DECLINED"
    assert (late.status_code, late.json()["code"]) == (409, "already-decided")
    assert [await identity_holds(intake, c) for c in (surviving, retired)] == [[], []]
    assert await case_of(intake, other) == retired


async def test_an_unmerge_holds_both_again_and_takes_the_facts_back(intake: Intake) -> None:
    one, surviving, other, retired = await pair(intake)
    await intake.report(retired, STEROID)
    await decide(intake, (await report(intake, one, other)).json()["change_id"])
    assert await intake.blocking(surviving, "infusion", "STER-001") != []

    answer = await report(intake, one, other, act="unmerges")
    assert answer.status_code == 201, answer.text
    pending = [await identity_holds(intake, c) for c in (surviving, retired)]
    done = await decide(intake, answer.json()["change_id"], first="u-qa-2")

    assert pending == [[ALL], [ALL, ALL]]
    assert done.json()["state"] == "CONFIRMED", done.text
    assert [await identity_holds(intake, c) for c in (surviving, retired)] == [[], []]
    assert await intake.blocking(surviving, "infusion", "STER-001") == []
    assert await intake.blocking(retired, "infusion", "STER-001") != []
    assert (await intake.case(retired))["status"] == "open"
    assert await case_of(intake, other) == retired
    assert "tandem.coordination.identity-unmerged.v1" in await intake.events(surviving)


async def test_the_same_pair_is_not_merged_a_second_time(intake: Intake) -> None:
    one, surviving, other, retired = await pair(intake)
    await decide(intake, (await report(intake, one, other)).json()["change_id"])
    unmerge = await report(intake, one, other, act="unmerges")
    await decide(intake, unmerge.json()["change_id"], first="u-qa-2")

    again = await report(intake, one, other, at="2027-03-12T00:00:00Z")
    refused = await decide(intake, again.json()["change_id"])

    assert (refused.status_code, refused.json()["code"]) == (409, "merged-before")
    assert [await identity_holds(intake, c) for c in (surviving, retired)] == [[ALL], [ALL]]


async def test_records_that_were_never_merged_cannot_be_taken_apart(intake: Intake) -> None:
    one, _, other, _ = await pair(intake)

    answer = await report(intake, one, other, act="unmerges")

    assert (answer.status_code, answer.json()["code"]) == (409, "not-merged")


@pytest.mark.parametrize("known", [0, 1])
async def test_a_merge_known_on_one_side_holds_that_and_learns_later(
    intake: Intake, known: int
) -> None:
    numbers = [number(), number()]
    case_id = await case_of(intake, numbers[known])

    change = (await report(intake, *numbers)).json()["change_id"]
    held = await identity_holds(intake, case_id)
    await decide(intake, change)

    assert held == [ALL]
    assert await identity_holds(intake, case_id) == []
    assert await case_of(intake, numbers[1]) == case_id


async def test_a_merge_of_nobody_known_says_so(intake: Intake) -> None:
    answer = await report(intake, number(), number())

    assert (answer.status_code, answer.json()["state"]) == (200, "nothing-to-decide")


async def test_facts_that_arrive_meanwhile_go_to_the_case_that_they_name(intake: Intake) -> None:
    one, surviving, other, retired = await pair(intake)
    change = (await report(intake, one, other)).json()["change_id"]

    await intake.report(retired, STEROID)
    before = [await kinds(intake, c) for c in (surviving, retired)]
    await decide(intake, change)

    assert before == [[], ["medication"]]
    assert await kinds(intake, surviving) == ["medication"]


async def test_a_referral_whose_numbers_cross_holds_every_case_it_names(intake: Intake) -> None:
    one, surviving, other, retired = await pair(intake)

    answers = [await referred(intake, one, other) for _ in range(2)]

    assert {a.status_code for a in answers} == {409}
    assert {a.json()["code"] for a in answers} == {"identity-conflict"}
    assert len({a.json()["change_id"] for a in answers}) == 1
    assert [await identity_holds(intake, c) for c in (surviving, retired)] == [[ALL], [ALL]]
    change = answers[0].json()["change_id"]
    confirmed = await decide(intake, change)
    assert confirmed.json()["code"] == "not-confirmable"
    assert (await decide(intake, change, "decline")).json()["state"] == "DECLINED"


async def test_a_number_given_to_somebody_else_is_refused_and_held(intake: Intake) -> None:
    reused = number()
    case_id = await case_of(intake, reused, family_name="Kaya", birth_date="1961-04-03")

    answer = await referred(intake, reused, family_name="Demir", birth_date="1990-12-24")

    assert (answer.status_code, answer.json()["code"]) == (409, "identity-conflict")
    assert await identity_holds(intake, case_id) == [ALL]


async def test_a_name_changed_at_marriage_is_the_same_patient(intake: Intake) -> None:
    mrn = number()
    case_id = await case_of(intake, mrn, family_name="Kaya", birth_date="1961-04-03")

    again = await case_of(intake, mrn, family_name="Demir", birth_date="1961-04-03")

    assert again == case_id
    assert await identity_holds(intake, case_id) == []


async def questions_about(intake: Intake, *cases: str) -> list[dict[str, Any]]:
    answer = await intake.client.get(
        "/identity/questions", headers=intake.headers(Role.COORDINATOR)
    )
    return [q for q in answer.json()["items"] if set(q["case_ids"]) <= set(cases)]


@pytest.mark.parametrize(
    ("other", "asked"),
    [
        ({"given_names": "Deniz", "birth_date": "1971-03-09"}, True),  # a stranger, or the same
        ({"given_names": "D\u00e8niz", "birth_date": "1971-03-09"}, True),  # transliterated
        ({"given_names": "Deniz", "birth_date": "1971-09-03"}, True),  # day and month swapped
        ({"given_names": "Derya", "birth_date": "1971-03-09"}, False),  # a twin
        ({"given_names": "Deniz", "birth_date": "1972-03-09"}, False),
        ({"given_names": "Deniz"}, False),
    ],
)
async def test_resembling_people_are_asked_about_and_never_held(
    intake: Intake, other: dict[str, str], asked: bool
) -> None:
    family = f"Y{''.join(c for c in number() if c.isalpha())}"
    first = await case_of(
        intake, number(), family_name=family, given_names="Deniz", birth_date="1971-03-09"
    )

    second = await case_of(intake, number(), family_name=family, **other)

    assert first != second
    assert len(await questions_about(intake, first, second)) == (1 if asked else 0)
    assert [await identity_holds(intake, c) for c in (first, second)] == [[], []]


@pytest.mark.parametrize(("answer", "held"), [("same", [ALL]), ("different", [])])
async def test_an_answer_of_same_is_the_report_of_a_merge(
    intake: Intake, answer: str, held: list[set[str]]
) -> None:
    family = f"Z{''.join(c for c in number() if c.isalpha())}"
    who = {"family_name": family, "given_names": "Can", "birth_date": "1950-01-31"}
    cases = [await case_of(intake, number(), **who) for _ in range(2)]
    question = (await questions_about(intake, *cases))[0]["question_id"]
    headers = intake.headers(Role.COORDINATOR)
    path = f"/identity/questions/{question}/answer"

    done = await intake.client.post(path, headers=headers, json={"answer": answer})
    other = "different" if answer == "same" else "same"
    late = await intake.client.post(path, headers=headers, json={"answer": other})

    assert done.status_code == 200, done.text
    assert (late.status_code, late.json()["code"]) == (409, "already-decided")
    assert [await identity_holds(intake, c) for c in cases] == [held, held]
    assert await questions_about(intake, *cases) == []


async def test_triplets_do_not_block_one_another(intake: Intake) -> None:
    family = f"T{''.join(c for c in number() if c.isalpha())}"
    cases = [
        await case_of(intake, number(), family_name=family, given_names=name,
                      birth_date="1980-05-05")
        for name in ("Ece", "Efe", "Ela")
    ]  # fmt: skip

    assert len(set(cases)) == 3
    assert await questions_about(intake, *cases) == []


async def test_the_cases_of_another_site_are_not_there(intake: Intake) -> None:
    one, surviving, other, _ = await pair(intake)
    async with intake.database.transaction() as tx:
        await tx.run(
            Statement("t", "UPDATE patient_case SET site = 'north' WHERE case_id = $1"),
            UUID(surviving),
        )

    refused = await report(intake, one, other, site="south")
    allowed = await report(intake, one, other, site="north")
    change = allowed.json()["change_id"]
    token = intake.headers(Role.INFUSION_NURSE, subject="u-n")["authorization"].split()[1]
    elsewhere = intake.sign_in.person(Role.QA_RELEASE, subject="u-qa", site="south")
    decided = await intake.client.post(
        f"/identity/changes/{change}/confirm", headers=elsewhere,
        json={"checked": ["birth_date", "name"], "second_signer_token": token},
    )  # fmt: skip
    seen = await intake.client.get("/identity/changes", headers=elsewhere)

    assert (refused.status_code, allowed.status_code, decided.status_code) == (404, 201, 404)
    assert change not in {c["change_id"] for c in seen.json()["items"]}


async def test_opposite_merges_at_once_hold_both_and_one_alone_is_confirmed(
    intake: Intake,
) -> None:
    one, surviving, other, retired = await pair(intake)

    answers = await asyncio.gather(
        *(report(intake, *numbers, at=f"2027-03-10T0{n}:00:00Z")
          for n in range(4) for numbers in ((one, other), (other, one)))
    )  # fmt: skip
    changes = sorted({a.json()["change_id"] for a in answers})
    held = [await identity_holds(intake, c) for c in (surviving, retired)]
    decided = await asyncio.gather(*(decide(intake, c) for c in changes))

    assert {a.status_code for a in answers} == {201}
    assert len(changes) == 2
    assert held == [[ALL, ALL], [ALL, ALL]]
    assert sorted(d.status_code for d in decided) == [200, 409]
    assert [d.json()["code"] for d in decided if d.status_code == 409] == ["overtaken"]
