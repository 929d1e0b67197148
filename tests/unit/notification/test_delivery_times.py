"""What one attempt to send leaves behind, and when the next one is due."""

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from services.notification.domain.delivery import (
    ATTEMPTS_MAX,
    MailOutcome,
    delivery_id,
    message_id,
    retry_after_seconds,
    settle,
)

ALL = ("a@x", "b@x")
NONE: frozenset[str] = frozenset()


def test_the_message_id_depends_on_alert_version_step_and_channel_alone() -> None:
    alert = uuid4()
    ids = {
        message_id(delivery_id(alert, version, step, "email"), "x")
        for version in (1, 1, 2)
        for step in (0, 0, 1)
    }

    assert len(ids) == 4


def test_everybody_accepted_is_sent() -> None:
    assert settle(ALL, MailOutcome(NONE, NONE), 1).state == "sent"


def test_who_is_refused_for_now_is_tried_again_alone() -> None:
    done = settle(ALL, MailOutcome(frozenset({"b@x"}), NONE, "refused"), 1)

    assert (done.state, done.remaining) == ("queued", ("b@x",))


def test_who_is_refused_for_good_does_not_keep_the_message_queued() -> None:
    done = settle(ALL, MailOutcome(NONE, frozenset({"b@x"}), "refused"), 1)

    assert (done.state, done.remaining) == ("sent", ("b@x",))


def test_a_server_that_stays_away_is_given_up_after_the_last_attempt() -> None:
    down = MailOutcome(frozenset(ALL), NONE, "connection")

    assert settle(ALL, down, ATTEMPTS_MAX - 1).state == "queued"
    assert settle(ALL, down, ATTEMPTS_MAX).state == "failed"


@given(st.integers(1, 60), st.floats(0, 1, exclude_max=True))
def test_attempts_wait_longer_and_longer_up_to_a_bound(attempt: int, chance: float) -> None:
    seconds = retry_after_seconds(attempt, chance)

    assert 0.75 <= seconds <= 75
    assert retry_after_seconds(1, 0.5) == 1.0
    assert retry_after_seconds(4, 0.5) == 8.0
