"""Tracing: off by default, on by OTEL_* settings; the context is kept, no error text is told."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from shared.contracts.vocabulary import Service
from shared.observability.otel import ExporterMissingError, OtelTracer
from shared.observability.tracing import begin_tracing, spanned
from shared.ports import NO_TRACER
from shared.web.requests import trace_from

PARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"


class OneId:
    def new(self) -> UUID:
        return UUID(int=7)


@pytest.fixture
def collected() -> Iterator[tuple[OtelTracer, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield OtelTracer(provider), exporter
    provider.shutdown()


def test_off_is_the_default_and_passes_the_context_on() -> None:
    tracer, end = begin_tracing(Service.INTAKE, "none")
    end()

    assert tracer is NO_TRACER
    assert tracer.begin("x", "server", parent=PARENT).traceparent == PARENT
    assert tracer.begin("x", "server").traceparent is None


def test_a_step_stands_below_its_parent_and_names_itself(
    collected: tuple[OtelTracer, InMemorySpanExporter],
) -> None:
    tracer, exporter = collected

    span = tracer.begin("x", "consumer", parent=PARENT)
    span.end(name="y", attributes={"n": 1})

    (told,) = exporter.get_finished_spans()
    assert told.context is not None
    assert told.parent is not None
    assert (told.name, dict(told.attributes or {})) == ("y", {"n": 1})
    assert f"{told.parent.span_id:016x}" == "cd" * 8
    assert span.traceparent == f"00-{'ab' * 16}-{told.context.span_id:016x}-01"


@pytest.mark.parametrize("parent", [None, "nonsense", f"00-{'0' * 32}-{'cd' * 8}-01"])
def test_without_a_usable_parent_a_trace_begins(
    parent: str | None, collected: tuple[OtelTracer, InMemorySpanExporter]
) -> None:
    tracer, exporter = collected

    tracer.begin("x", "server", parent=parent).end()

    assert exporter.get_finished_spans()[0].parent is None


def test_an_error_is_told_by_its_type_alone(
    collected: tuple[OtelTracer, InMemorySpanExporter],
) -> None:
    tracer, exporter = collected

    with (
        pytest.raises(ValueError, match="Ada"),
        spanned(tracer, "x", "client", parent=None),
    ):
        raise ValueError("Ada Example, born 1966")

    (told,) = exporter.get_finished_spans()
    assert dict(told.attributes or {}) == {"error.type": "ValueError"}
    assert "Ada" not in told.to_json()


def test_a_step_that_is_not_sampled_says_so_to_whoever_follows() -> None:
    tracer = OtelTracer(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))

    span = tracer.begin("x", "server", parent=PARENT)

    assert span.traceparent is not None
    assert span.traceparent.startswith(f"00-{'ab' * 16}-")
    assert span.traceparent.endswith("-00")
    assert "cd" * 8 not in span.traceparent


def test_a_request_keeps_the_span_that_was_begun_for_it() -> None:
    own = trace_from(PARENT, None, OneId(), is_own=True)
    passed = trace_from(PARENT, None, OneId())

    assert own.traceparent == PARENT
    assert passed.traceparent == f"00-{'ab' * 16}-{UUID(int=7).hex[-16:]}-01"
    assert own.trace_id == passed.trace_id == "ab" * 16


def test_otlp_without_its_package_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)

    with pytest.raises(ExporterMissingError, match="opentelemetry-exporter-otlp-proto-http"):
        begin_tracing(Service.INTAKE, "otlp")


def test_the_console_exporter_is_at_hand() -> None:
    tracer, end = begin_tracing(Service.INTAKE, "console")
    end()

    assert tracer.begin("x", "server").is_own


def test_a_service_that_does_not_trace_does_not_load_the_sdk() -> None:
    asked = (
        "import sys, services.intake.bootstrap; "
        "print(sum(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout.strip() == "0"
