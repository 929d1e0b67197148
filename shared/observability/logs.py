"""Logs without anybody in them: JSON lines whose keys are on a list and whose values are no text.

Code logs through the standard library (`logging.getLogger(__name__)`), with the event's name in
snake_case as message and ids, codes and numbers as `extra`. Everything else is dropped here, last
thing before the line is written, and counted: unknown keys, values that could be prose or a name,
messages of libraries, and texts of exceptions (only their type and place are kept).
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from datetime import date
from enum import Enum
from typing import Any, Final, TextIO
from uuid import UUID

import structlog
from structlog.types import EventDict, Processor

from shared.contracts.vocabulary import Service
from shared.observability.figures import Figures

_LINE: Final = ("event", "level", "timestamp", "logger", "service", "mode", "version", "replica")
_CHAIN: Final = ("correlation_id", "causation_id", "trace_id", "case_id", "event_id", "event_type")
_STREAM: Final = ("source", "consumer", "topic", "partition", "offset", "epoch", "sequence", "lane")
_WHAT: Final = ("method", "route", "status", "code", "outcome", "state", "kind", "gate", "rule")
_PLACE: Final = ("step", "channel", "timer", "server", "port", "where", "alarm", "cause")
_HOLDS: Final = ("hold_id", "permit_id", "fact_id", "proposal_id", "alert_id")
_GOODS: Final = ("dose_id", "batch_id", "course_id", "infusion_id")
_NUMBERS: Final = (
    "attempt",
    "count",
    "missing",
    "rows",
    "bytes",
    "limit",
    "lag_events",
    "was",
    "is",
)
_TIMES: Final = ("seconds", "milliseconds", "lag_events", "lag_seconds", "age_seconds")
_ERROR: Final = ("error", "exception", "frames", "message")
#: what a log line may say; a new key is added here and nowhere else
ALLOWED_KEYS: Final = frozenset().union(
    _LINE, _CHAIN, _STREAM, _WHAT, _PLACE, _HOLDS, _GOODS, _NUMBERS, _TIMES, _ERROR
)
#: libraries whose own words are about connections and partitions, never about what is carried
TRUSTED_LOGGERS: Final = ("uvicorn.error", "aiokafka")
FRAMES_MAX: Final = 8

_EVENT: Final = re.compile(r"[a-z][a-z0-9_]{2,60}")
#: ids, codes, routes, file places: no blank and no letter beyond ASCII
_CODE: Final = re.compile(r"[A-Za-z0-9_.:/@+#%*<>{}\[\]-]{1,200}")
_DROPPED: Final = "[dropped]"


#: libraries that tell every request and every rebalance as news
CHATTY: Final = ("httpx", "httpcore", "aiokafka", "faststream")


def configure_logging(
    service: Service, figures: Figures, *, as_json: bool = True, stream: TextIO | None = None
) -> None:
    """Sends every logger of the process, the libraries' too, through the filter to one stream."""
    renderer: Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.processors.LogfmtRenderer()
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            KeyFilter(service, figures),
            renderer,
        ],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = name != "uvicorn.access"


def bind(**ids: object) -> None:
    """Adds ids (case_id, correlation_id, trace_id) to every later line of this task."""
    structlog.contextvars.bind_contextvars(**ids)


def unbind() -> None:
    """Forgets what was bound."""
    structlog.contextvars.clear_contextvars()


def places(error: BaseException) -> list[str]:
    """Where an exception arose, innermost last, as file:line:function; never its text."""
    found = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    return [f"{_tail(f.filename)}:{f.lineno}:{f.name}" for f in found]


def _tail(filename: str) -> str:
    return "/".join(filename.replace("\\", "/").split("/")[-2:])


class KeyFilter:
    """Keeps the allowed keys and the harmless values of a line."""

    def __init__(self, service: Service, figures: Figures) -> None:
        self._service = service.value
        self._figures = figures

    def __call__(self, _: object, __: str, line: EventDict) -> EventDict:
        """The line as it may be written."""
        self._name_event(line)
        _name_exception(line)
        kept: EventDict = {"service": self._service}
        for key, value in line.items():
            if key not in ALLOWED_KEYS:
                self._figures.log_keys_dropped.inc()
                continue
            kept[key] = value if key == "message" else self._harmless(value)
        return kept

    def _name_event(self, line: MutableMapping[str, Any]) -> None:
        """A message that is no event name is a library's: kept only where it is trusted."""
        text = str(line.get("event", ""))
        line.pop("message", None)
        if _EVENT.fullmatch(text):
            return
        line["event"] = "library_message"
        if str(line.get("logger", "")).startswith(TRUSTED_LOGGERS):
            line["message"] = text.partition("\n")[0][:500]
        else:
            self._figures.log_values_dropped.inc()

    def _harmless(self, value: object) -> object:
        match value:
            case None | bool() | int() | float():
                return value
            case UUID() | date():
                return str(value)
            case Enum():
                return self._harmless(value.value)
            case str() if _CODE.fullmatch(value):
                return value
            case list() | tuple() | set() | frozenset() if len(value) <= FRAMES_MAX:
                return [self._harmless(part) for part in value]
            case _:
                self._figures.log_values_dropped.inc()
                return _DROPPED


def _name_exception(line: MutableMapping[str, Any]) -> None:
    found = line.pop("exc_info", None)
    line.pop("stack_info", None)
    error = found[1] if isinstance(found, tuple) else found
    if found is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        line["exception"] = type(error).__name__
        line["frames"] = places(error)
