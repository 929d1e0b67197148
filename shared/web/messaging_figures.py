"""Shows what relay and consumer count (`shared.messaging.figures`) to Prometheus."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.messaging.figures import ConsumerFigures, RelayFigures
from shared.observability.figures import Figures


class MessagingFigures(Collector):
    """The figures of one process's relay and consumers, read whenever somebody asks for them."""

    def __init__(
        self, relay: RelayFigures | None, consumers: Mapping[str, ConsumerFigures]
    ) -> None:
        self._relay = relay
        self._consumers = consumers

    def collect(self) -> Iterator[Metric]:
        """All families, in a fixed order."""
        if self._relay is not None:
            yield from _of_relay(self._relay)
        yield from _of_consumers(self._consumers)


def show_messaging(
    figures: Figures, *, relay: RelayFigures | None, consumers: Mapping[str, ConsumerFigures]
) -> None:
    """Adds relay and consumers (by the consumer's name) to the figures of the process."""
    figures.registry.register(MessagingFigures(relay, consumers))


def _of_relay(relay: RelayFigures) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "tandem_relay_active", "1 where this process sends the outbox", float(relay.active)
    )
    yield GaugeMetricFamily(
        "tandem_outbox_rows", "Events committed and not yet sent", relay.unsent_rows
    )
    yield GaugeMetricFamily(
        "tandem_outbox_age_seconds",
        "Age of the oldest event committed and not yet sent",
        relay.oldest_unsent_seconds,
    )
    yield CounterMetricFamily("tandem_events_sent", "Events acknowledged by Kafka", relay.sent)
    yield CounterMetricFamily("tandem_sends_failed", "Sends to be repeated", relay.failed_sends)


def _of_consumers(consumers: Mapping[str, ConsumerFigures]) -> Iterator[Metric]:
    events = CounterMetricFamily(
        "tandem_events", "Events read, by what became of them", labels=["consumer", "outcome"]
    )
    duplicates = CounterMetricFamily(
        "tandem_duplicates_dropped", "Events that came again, dropped", labels=["consumer"]
    )
    parked = GaugeMetricFamily(
        "tandem_parked_cases", "Cases whose events wait in order", labels=["consumer"]
    )
    early = GaugeMetricFamily(
        "tandem_early_events", "Events that wait for their predecessor", labels=["consumer"]
    )
    lag = GaugeMetricFamily(
        "tandem_lag_events", "Events not yet applied", labels=["consumer", "topic", "partition"]
    )
    lag_seconds = GaugeMetricFamily(
        "tandem_lag_seconds", "Age of the oldest event not applied", labels=["consumer", "source"]
    )
    for name, counted in consumers.items():
        for outcome, count in sorted(counted.counted.items()):
            events.add_metric([name, outcome], count)
        duplicates.add_metric([name], counted.duplicates_dropped)
        parked.add_metric([name], counted.parked_cases)
        early.add_metric([name], counted.early_records)
        for place, waiting in sorted(counted.lag_events.items()):
            topic, _, partition = place.rpartition("/")
            lag.add_metric([name, topic, partition], waiting)
        for source, seconds in sorted(counted.lag_seconds.items()):
            lag_seconds.add_metric([name, source], seconds)
    yield from (events, duplicates, parked, early, lag, lag_seconds)
