"""PHI3: nothing of a patient reaches a log line, whatever a caller or a library tries."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.vocabulary import Gate, Service
from shared.observability.figures import Figures
from shared.observability.logs import bind, configure_logging, unbind

CANARY = "Zyxwvut Canarybird 1961-07-04"
CASE = UUID("01890000-0000-7000-8000-000000000001")


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    stream = io.StringIO()
    yield stream
    root.handlers[:], root.level = before
    unbind()


@pytest.fixture
def figures(written: io.StringIO) -> Figures:
    figures = Figures()
    configure_logging(Service.INTAKE, figures, stream=written)
    return figures


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def dropped(figures: Figures) -> tuple[float, float]:
    value = figures.registry.get_sample_value
    keys = value("tandem_log_keys_dropped_total")
    values = value("tandem_log_values_dropped_total")
    assert keys is not None
    assert values is not None
    return keys, values


def test_a_line_has_its_event_its_ids_and_its_service(
    written: io.StringIO, figures: Figures
) -> None:
    bind(correlation_id=CASE)
    logging.getLogger("shared.test").warning(
        "hold_recorded", extra={"case_id": CASE, "gate": Gate.INFUSION, "attempt": 2}
    )

    (line,) = lines(written)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "service": "intake",
        "event": "hold_recorded",
        "level": "warning",
        "logger": "shared.test",
        "case_id": str(CASE),
        "correlation_id": str(CASE),
        "gate": "infusion",
        "attempt": 2,
    }
    assert dropped(figures) == (0, 0)


def test_an_unknown_key_is_dropped_and_counted(written: io.StringIO, figures: Figures) -> None:
    logging.getLogger("shared.test").info("hold_recorded", extra={"patient": CANARY, "note": "x"})

    assert "Canarybird" not in written.getvalue()
    assert dropped(figures) == (2, 0)


@pytest.mark.parametrize("value", [CANARY, "Müller", {"name": CANARY}, CANARY.encode(), [CANARY]])
def test_a_value_that_could_be_a_name_is_dropped_and_counted(
    value: object, written: io.StringIO, figures: Figures
) -> None:
    logging.getLogger("shared.test").info("hold_recorded", extra={"code": value})

    assert "Canarybird" not in written.getvalue()
    assert "ller" not in written.getvalue()
    assert "[dropped]" in written.getvalue()
    assert dropped(figures) == (0, 1)


def test_an_exception_leaves_its_type_and_place_alone(
    written: io.StringIO, figures: Figures
) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger("shared.test").exception("hold_failed")

    (line,) = lines(written)
    assert "Canarybird" not in written.getvalue()
    assert line["exception"] == "ValueError"
    assert line["frames"][-1].startswith("web/test_web_logs.py:")


def test_a_librarys_words_are_kept_only_where_they_are_about_connections(
    written: io.StringIO, figures: Figures
) -> None:
    logging.getLogger("some.library").warning("could not store %s", CANARY)
    logging.getLogger("aiokafka.conn").warning("Connection at %s closed", "broker-1")

    unknown, trusted = lines(written)
    assert "Canarybird" not in written.getvalue()
    assert unknown["event"] == trusted["event"] == "library_message"
    assert "message" not in unknown
    assert trusted["message"] == "Connection at broker-1 closed"


def test_a_message_that_is_no_event_name_says_nothing(
    written: io.StringIO, figures: Figures
) -> None:
    logging.getLogger("shared.test").info(f"patient {CANARY} held")

    assert "Canarybird" not in written.getvalue()
    assert dropped(figures) == (0, 1)
