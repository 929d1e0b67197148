"""Tracing: off unless OTEL_TRACES_EXPORTER says where the steps are told (`otel.py` tells them).

The context travels by itself (request header, outbox row, Kafka header, message to be sent), so one
trace runs through all services.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from shared.contracts.vocabulary import Service
from shared.ports import NO_TRACER, NOTHING, Attributes, Span, SpanKind, Tracer

#: the values of OTEL_TRACES_EXPORTER that are understood here
Exporter = Literal["none", "console", "otlp"]


@contextmanager
def spanned(
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    *,
    parent: str | None,
    attributes: Attributes = NOTHING,
) -> Iterator[Span]:
    """A step that lasts as long as the block; what is raised in it ends it as failed."""
    span = tracer.begin(name, kind, parent=parent, attributes=attributes)
    try:
        yield span
    except BaseException as error:
        span.end(error=type(error).__name__)
        raise
    span.end()


def begin_tracing(service: Service, exporter: Exporter) -> tuple[Tracer, Callable[[], None]]:
    """The tracer of a process, and what tells the last steps at its end.

    Where OTLP leads, how steps are sampled and more is read by the SDK from its own OTEL_*
    variables. Raises `shared.observability.otel.ExporterMissingError`.
    """
    if exporter == "none":
        return NO_TRACER, _nothing_to_end
    from shared.observability import otel  # noqa: PLC0415 - 8 MB that nobody else needs

    return otel.begin(service, exporter)


def _nothing_to_end() -> None:
    """Tracing is off."""
