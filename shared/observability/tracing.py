"""Tracing by OpenTelemetry: off unless OTEL_TRACES_EXPORTER says where the steps are told.

The context travels by itself (request header, outbox row, Kafka header, message to be sent), so one
trace runs through all services. A step carries names of operations, event types and ids; never a
path as it was sent, a value or the text of an error.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.contracts.vocabulary import Service
from shared.ports import NO_TRACER, NOTHING, Attributes, Span, SpanKind, Tracer

#: the values of OTEL_TRACES_EXPORTER that are understood here
Exporter = Literal["none", "console", "otlp"]
_OTLP: Final = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_W3C: Final = TraceContextTextMapPropagator()
_KINDS: Final = {
    "server": trace.SpanKind.SERVER,
    "producer": trace.SpanKind.PRODUCER,
    "consumer": trace.SpanKind.CONSUMER,
    "client": trace.SpanKind.CLIENT,
}


class ExporterMissingError(RuntimeError):
    """OTLP was asked for and its exporter is not installed."""


class _OtelSpan:
    """A step that the SDK records, or has decided not to sample."""

    is_own = True

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(span, Context()))
        self.traceparent: str | None = carrier.get("traceparent")

    def end(
        self, *, error: str | None = None, name: str | None = None, attributes: Attributes = NOTHING
    ) -> None:
        """Tells the step to the exporter."""
        if name is not None:
            self._span.update_name(name)
        self._span.set_attributes(dict(attributes))
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class OtelTracer:
    """Steps told to an OpenTelemetry provider."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("tandem")

    def begin(
        self,
        name: str,
        kind: SpanKind,
        *,
        parent: str | None = None,
        attributes: Attributes = NOTHING,
    ) -> Span:
        """A step below `parent`; a parent that is no trace context begins a new trace."""
        carrier = {} if parent is None else {"traceparent": parent}
        context = _W3C.extract(carrier, Context())
        span = self._tracer.start_span(name, context, _KINDS[kind], dict(attributes))
        return _OtelSpan(span)


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
    variables. Raises `ExporterMissingError`.
    """
    if exporter == "none":
        return NO_TRACER, _nothing_to_end
    resource = Resource.create({"service.name": f"tandem-{service.value}"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_exporter(exporter)))
    return OtelTracer(provider), provider.shutdown


def _nothing_to_end() -> None:
    """Tracing is off."""


def _exporter(exporter: Exporter) -> SpanExporter:
    if exporter == "console":
        return ConsoleSpanExporter()
    try:
        module = importlib.import_module(_OTLP)
    except ImportError as error:
        raise ExporterMissingError(
            "OTEL_TRACES_EXPORTER=otlp needs the package opentelemetry-exporter-otlp-proto-http"
        ) from error
    return cast(SpanExporter, module.OTLPSpanExporter())
