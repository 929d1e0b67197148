"""Release: everything that stands against it, and who may sign."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from mfg_builders import (
    FORMULATED_AT,
    FRESH_UNTIL,
    OPERATOR,
    PASSING,
    QA_ONE,
    QA_TWO,
    RELEASE_AT,
    RULES,
    STARTED_AT,
    dossier,
    formulated,
    result,
    signature,
    steps,
)

from services.manufacturing.domain.batch import DoneStep, Step
from services.manufacturing.domain.product import Form
from services.manufacturing.domain.refusal import ReasonCode
from services.manufacturing.domain.release import (
    Blocked,
    Deviation,
    Dossier,
    Releasable,
    assess,
    sign,
)
from services.manufacturing.domain.specification import (
    Quantity,
    ResultStatus,
    Unparsable,
    Word,
)
from shared.contracts.vocabulary import Role

DEVIATION = UUID(int=77)


def against(evidence: Dossier, **changes: object) -> set[tuple[ReasonCode, str | None]]:
    found = assess(formulated(**changes), evidence, RULES, at=RELEASE_AT)  # type: ignore[arg-type]
    return set() if isinstance(found, Releasable) else {(r.code, r.subject) for r in found.reasons}


def test_a_batch_in_order_is_releasable_with_sterility_pending() -> None:
    found = assess(formulated(), dossier(), RULES, at=RELEASE_AT)

    assert found == Releasable(("sterility_14d",))


def test_with_the_final_sterility_result_nothing_is_pending() -> None:
    evidence = dossier(sterility_14d=Word("no_growth"))

    assert assess(formulated(), evidence, RULES, at=RELEASE_AT) == Releasable(())


@pytest.mark.parametrize("test", sorted(PASSING))
def test_each_missing_test_blocks(test: str) -> None:
    assert against(dossier(**{test: None})) == {(ReasonCode.TEST_MISSING, test)}


@pytest.mark.parametrize("test", sorted(PASSING))
def test_each_test_that_cannot_be_read_blocks(test: str) -> None:
    evidence = dossier(**{test: Unparsable("see report", "%")})

    assert against(evidence) == {(ReasonCode.TEST_UNKNOWN, test)}


def test_an_out_of_range_test_blocks() -> None:
    evidence = dossier(viability_fresh=Quantity(Decimal(79), "%"))

    assert against(evidence) == {(ReasonCode.TEST_FAILED, "viability_fresh")}


def test_growth_in_the_final_sterility_test_blocks() -> None:
    evidence = dossier(sterility_14d=Word("growth"))

    assert against(evidence) == {(ReasonCode.TEST_FAILED, "sterility_14d")}


def test_all_reasons_are_given_at_once() -> None:
    evidence = replace(
        dossier(viability_fresh=Quantity(Decimal(79), "%"), mycoplasma_nat=None),
        steps=steps(without=Step.ACTIVATE),
        deviations=(Deviation(DEVIATION, open=True),),
    )

    assert against(evidence) == {
        (ReasonCode.TEST_FAILED, "viability_fresh"),
        (ReasonCode.TEST_MISSING, "mycoplasma_nat"),
        (ReasonCode.STEP_MISSING, "activate"),
        (ReasonCode.DEVIATION_OPEN, str(DEVIATION)),
    }


@pytest.mark.parametrize("step", [s for s in Step if s is not Step.FREEZE])
def test_each_skipped_mandatory_step_blocks(step: Step) -> None:
    evidence = replace(dossier(), steps=steps(without=step))

    assert (ReasonCode.STEP_MISSING, step.value) in against(evidence)


def test_a_frozen_product_needs_its_freezing_and_its_own_tests() -> None:
    missing = against(dossier(), form=Form.CRYOPRESERVED)

    assert missing == {
        (ReasonCode.STEP_MISSING, "freeze"),
        (ReasonCode.TEST_MISSING, "viability_post_thaw"),
        (ReasonCode.TEST_MISSING, "dmso_dose"),
    }


def test_a_step_before_an_earlier_one_blocks() -> None:
    early = DoneStep(Step.FORMULATE, STARTED_AT + timedelta(days=2), OPERATOR)
    evidence = replace(dossier(), steps=(*steps(without=Step.FORMULATE), early))

    assert (ReasonCode.STEP_ORDER, "formulate") in against(evidence)


# MFG-004: clinic days 14 to 28 from the start of the culture, inclusive
@pytest.mark.parametrize(("days", "inside"), [(13, False), (14, True), (28, True), (29, False)])
def test_the_harvest_window_is_the_protocols(days: int, inside: bool) -> None:
    codes = {code for code, _ in against(dossier(), harvested_at=STARTED_AT + timedelta(days=days))}

    assert (ReasonCode.HARVEST_WINDOW not in codes) is inside


def test_an_expired_product_is_not_released() -> None:
    found = assess(formulated(), dossier(), RULES, at=FRESH_UNTIL)

    assert isinstance(found, Blocked)
    assert {r.code for r in found.reasons} == {ReasonCode.EXPIRED}


def test_a_result_in_the_review_band_needs_a_signer_who_accepts_it_by_name() -> None:
    evidence = dossier(cd3_cd56_pct=Quantity(Decimal(16), "%"))
    accepted = replace(evidence, reviews_accepted=frozenset({"REL-CD3CD56"}))

    assert against(evidence) == {(ReasonCode.TEST_REVIEW, "cd3_cd56_pct")}
    assert against(accepted) == set()


def test_a_failed_result_cannot_be_accepted_by_name() -> None:
    evidence = dossier(cd3_cd56_pct=Quantity(Decimal(14), "%"))
    accepted = replace(evidence, reviews_accepted=frozenset({"REL-CD3CD56"}))

    assert against(accepted) == {(ReasonCode.TEST_FAILED, "cd3_cd56_pct")}


def test_a_preliminary_result_blocks_until_the_final_one() -> None:
    early = result("mycoplasma_nat", Word("not_detected"), number=90,
                   status=ResultStatus.PRELIMINARY)  # fmt: skip
    evidence = dossier(mycoplasma_nat=None)
    waiting = replace(evidence, results=(*evidence.results, early))
    final = result("mycoplasma_nat", Word("not_detected"), number=91)

    assert against(waiting) == {(ReasonCode.TEST_PRELIMINARY, "mycoplasma_nat")}
    assert against(replace(waiting, results=(*waiting.results, final))) == set()


def test_a_preliminary_failure_is_not_wiped_out_by_a_final_pass() -> None:
    early = result("mycoplasma_nat", Word("detected"), number=90, status=ResultStatus.PRELIMINARY)
    evidence = replace(dossier(), results=(*dossier().results, early))

    assert against(evidence) == {(ReasonCode.TEST_FAILED, "mycoplasma_nat")}


def failed_then_repeated(*, deviation_open: bool, linked: bool) -> Dossier:
    failed = result("viability_fresh", Quantity(Decimal(70), "%"), number=80)
    again = result(
        "viability_fresh",
        Quantity(Decimal(90), "%"),
        number=81,
        retest_of=failed.result_id if linked else None,
        deviation_id=DEVIATION if linked else None,
    )
    evidence = dossier(viability_fresh=None)
    deviations = (Deviation(DEVIATION, open=deviation_open),)
    return replace(evidence, results=(*evidence.results, failed, again), deviations=deviations)


def test_a_retest_counts_alone_only_when_its_deviation_is_closed() -> None:
    closed = failed_then_repeated(deviation_open=False, linked=True)
    still_open = failed_then_repeated(deviation_open=True, linked=True)

    assert against(closed) == set()
    assert (ReasonCode.TEST_FAILED, "viability_fresh") in against(still_open)


def test_a_second_result_without_a_deviation_does_not_replace_a_failed_one() -> None:
    evidence = failed_then_repeated(deviation_open=False, linked=False)

    assert against(evidence) == {(ReasonCode.TEST_FAILED, "viability_fresh")}


def test_two_people_of_quality_assurance_sign() -> None:
    first = sign([], signature(QA_ONE), frozenset({OPERATOR}))
    assert not isinstance(first, Blocked)

    second = sign(first, signature(QA_TWO), frozenset({OPERATOR}))

    assert not isinstance(second, Blocked)
    assert [s.subject for s in second] == [QA_ONE, QA_TWO]


def codes(found: object) -> set[ReasonCode]:
    assert isinstance(found, Blocked)
    return {reason.code for reason in found.reasons}


def test_one_person_cannot_sign_twice() -> None:
    assert codes(sign([signature(QA_ONE)], signature(QA_ONE), frozenset())) == {
        ReasonCode.SIGNED_ALREADY
    }


def test_an_operator_of_the_batch_cannot_sign() -> None:
    both = signature(OPERATOR, roles=(Role.LAB_TECH, Role.QA_RELEASE))

    assert codes(sign([], both, frozenset({OPERATOR}))) == {ReasonCode.SIGNER_IS_OPERATOR}


def test_a_person_of_the_bench_cannot_sign() -> None:
    found = sign([], signature("u-9", roles=(Role.LAB_TECH,)), frozenset())

    assert codes(found) == {ReasonCode.SIGNER_ROLE}


def test_two_directors_without_quality_assurance_cannot_release() -> None:
    one = signature("u-d1", roles=(Role.MEDICAL_DIRECTOR,))
    two = signature("u-d2", roles=(Role.MEDICAL_DIRECTOR,))

    assert codes(sign([one], two, frozenset())) == {ReasonCode.SIGNER_ROLE}


def test_a_director_and_quality_assurance_can_release() -> None:
    director = signature("u-d1", roles=(Role.MEDICAL_DIRECTOR,))

    assert not isinstance(sign([director], signature(QA_ONE), frozenset()), Blocked)


def test_a_signature_over_older_evidence_is_void() -> None:
    old = signature(QA_ONE, evidence=6)

    found = sign([old], signature(QA_TWO, evidence=7), frozenset())

    assert not isinstance(found, Blocked)
    assert [s.subject for s in found] == [QA_TWO]


def test_a_product_that_is_out_already_is_not_judged_by_its_expiry() -> None:
    evidence = dossier(sterility_14d=Word("no_growth"))

    assert assess(formulated(), evidence, RULES, at=None) == Releasable(())
    assert FORMULATED_AT < FRESH_UNTIL
