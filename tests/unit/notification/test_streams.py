"""The dead-man's rule."""

from datetime import UTC, datetime, timedelta

from services.notification.domain.streams import StreamState, judge
from shared.contracts.vocabulary import Service

T0 = datetime(2027, 3, 10, 9, 0, tzinfo=UTC)
HEARD = StreamState(Service.INTAKE, T0, None)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def test_a_source_is_silent_after_fifteen_seconds_and_not_before() -> None:
    before, nothing = judge(HEARD, T0, watching_since=T0, now=at(14.9))
    after, broken = judge(HEARD, T0, watching_since=T0, now=at(15))

    assert (before.broken_since, nothing) == (None, None)
    assert (after.broken_since, broken) == (T0, "broken")


def test_a_silence_is_told_once() -> None:
    silent = StreamState(Service.INTAKE, T0, T0)

    assert judge(silent, None, watching_since=T0, now=at(60))[1] is None


def test_a_listener_that_has_just_started_does_not_call_others_silent() -> None:
    old = StreamState(Service.INTAKE, at(-3600), None)

    assert judge(old, None, watching_since=T0, now=at(1))[1] is None
    assert judge(old, None, watching_since=T0, now=at(15))[1] == "broken"


def test_only_a_heartbeat_restores_a_source() -> None:
    silent = StreamState(Service.INTAKE, T0, T0)

    assert judge(silent, None, watching_since=at(100), now=at(101))[1] is None
    restored, change = judge(silent, at(100), watching_since=T0, now=at(101))
    assert (restored.broken_since, change) == (None, "restored")


def test_a_heartbeat_from_before_the_silence_changes_nothing() -> None:
    silent = StreamState(Service.INTAKE, T0, T0)

    assert judge(silent, at(-30), watching_since=T0, now=at(60)) == (silent, None)
