"""Events that no service reacts to: they tell people (console, audit, auditors) what happened.

An event is either read by a service's table of reactions or listed here, never both and never
neither, so that no event is dead and none is forgotten (tests/architecture/test_catalogue.py).
"""

from typing import Final

AUDIT_ONLY: Final = frozenset(
    {
        "tandem.coordination.eligibility-decided.v1",
        "tandem.coordination.fact-corrected.v1",
        "tandem.coordination.fact-recorded.v1",
        "tandem.coordination.hold-overdue.v1",
        "tandem.coordination.identity-merged.v1",
        "tandem.coordination.identity-unmerged.v1",
        "tandem.coordination.oncology-plan-acknowledged.v1",
        "tandem.coordination.override-ended.v1",
        "tandem.coordination.override-recorded.v1",
        "tandem.coordination.permit-consumed.v1",
        "tandem.coordination.permit-denied.v1",
        "tandem.coordination.permit-granted.v1",
        "tandem.coordination.permit-lapsed.v1",
        "tandem.coordination.permit-undone.v1",
        "tandem.coordination.review-decided.v1",
        "tandem.infusion.continuation-decided.v1",
        "tandem.infusion.follow-up-done.v1",
        "tandem.infusion.follow-up-due.v1",
        "tandem.infusion.infusion-reinstated.v1",
        "tandem.infusion.plan-signed.v1",
        "tandem.infusion.response-assessed.v1",
        "tandem.infusion.slot-freed.v1",
        "tandem.infusion.slot-offered.v1",
        "tandem.infusion.start-refused.v1",
        "tandem.infusion.start-requested.v1",
        "tandem.manufacturing.custody-handed-over.v1",
        "tandem.manufacturing.deviation-closed.v1",
        "tandem.manufacturing.deviation-opened.v1",
        "tandem.manufacturing.expiry-question-answered.v1",
        "tandem.manufacturing.expiry-question-asked.v1",
        "tandem.manufacturing.material-received.v1",
        "tandem.manufacturing.measure-recorded.v1",
        "tandem.manufacturing.qc-result-recorded.v1",
        "tandem.notification.alert-acknowledged.v1",
        "tandem.notification.alert-closed.v1",
        "tandem.notification.alert-delivered.v1",
        "tandem.notification.alert-escalated.v1",
        "tandem.notification.alert-overridden.v1",
        "tandem.notification.alert-raised.v1",
        "tandem.notification.alert-updated.v1",
        "tandem.notification.delivery-failed.v1",
        "tandem.notification.stream-broken.v1",
        "tandem.notification.stream-restored.v1",
    }
)
