"""The Prometheus figures of a process, declared once, in one registry per process.

Those of relay and consumers are kept beside them (`shared.web.messaging_figures`). Labels are
closed words (service, topic, gate, outcome); never a case, a person or a value, so that
the figures stay few and say nothing about anybody.
"""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

#: seconds; the start permit's bounds (3 s ask, 10 s TTL) and the pages' 300 ms lie on edges
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 0.5, 1, 2, 3, 5, 10, 30, 60)


class Figures:
    """All figures. Whoever causes one counts it; who has none to tell leaves it at zero."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._readers: list[Callable[[], None]] = []
        self._declare_permits()
        self._declare_edges()

    def text(self) -> bytes:
        """The figures in Prometheus' text format."""
        for read in self._readers:
            read()
        return generate_latest(self.registry)

    def before_reading(self, read: Callable[[], None]) -> None:
        """Runs `read` before the figures are told, to bring gauges up to date."""
        self._readers.append(read)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"tandem_{name}", text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"tandem_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"tandem_{name}", text, labels, buckets=_SECONDS, registry=self.registry)

    def _declare_permits(self) -> None:
        self.permits = self._counter(
            "permits", "Start permits by what became of them", "gate", "outcome"
        )
        self.permit_refusals = self._counter(
            "permit_refusals", "Refused start permits by code", "gate", "code"
        )
        self.holds_effective = self._counter(
            "holds_effective", "Holds that became effective", "effective_by"
        )
        self.unpermitted_starts = self._counter(
            "unpermitted_starts", "Starts recorded that had no permit", "gate"
        )
        self.escalations_late = self._counter(
            "escalations_late", "Escalations more than 5 s after their minute"
        )
        self.oldest_unacknowledged_seconds = self._gauge(
            "oldest_unacknowledged_alert_seconds", "Age of the oldest alert nobody acknowledged"
        )

    def _declare_edges(self) -> None:
        self.requests = self._counter("http_requests", "Requests answered", "method", "status")
        self.request_seconds = self._histogram("http_request_seconds", "Time of a request")
        self.tokens_refused = self._counter("tokens_refused", "Bearer tokens refused", "code")
        self.log_keys_dropped = self._counter(
            "log_keys_dropped", "Log keys that are not on the list of allowed keys"
        )
        self.log_values_dropped = self._counter(
            "log_values_dropped", "Log values that are no id, code or number"
        )
        self.audit_root_age_seconds = self._gauge(
            "audit_root_age_seconds", "Time since the last signed root of the audit"
        )
        self.audit_root_failures = self._counter(
            "audit_root_failures", "Signed roots of the audit that could not be written"
        )
