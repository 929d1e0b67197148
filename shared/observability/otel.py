"""Tracing by OpenTelemetry; imported only where it is turned on, since its SDK takes memory.

A step carries names of operations, event types and ids; never a path as it was sent, a value or the
text of an error.
"""

import importlib
from collections.abc import Callable
from typing import Final, Literal, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.contracts.vocabulary import Service
from shared.ports import NOTHING, Attributes, Span, SpanKind, Tracer

#: who may be told, but for nobody
Receiver = Literal["console", "otlp"]
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


def begin(service: Service, receiver: Receiver) -> tuple[Tracer, Callable[[], None]]:
    """The tracer of a process, and what tells the last steps at its end.

    Raises `ExporterMissingError`.
    """
    resource = Resource.create({"service.name": f"tandem-{service.value}"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_exporter(receiver)))
    return OtelTracer(provider), provider.shutdown


def _exporter(receiver: Receiver) -> SpanExporter:
    if receiver == "console":
        return ConsoleSpanExporter()
    try:
        module = importlib.import_module(_OTLP)
    except ImportError as error:
        raise ExporterMissingError(
            "OTEL_TRACES_EXPORTER=otlp needs the package opentelemetry-exporter-otlp-proto-http"
        ) from error
    return cast(SpanExporter, module.OTLPSpanExporter())
