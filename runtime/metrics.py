"""What the process counts, for Prometheus. One registry a process, handed around, never a global."""

import asyncio
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Answers(Collector):
    """Requests answered and the time it took, in plain numbers until somebody reads them.

    Every request is counted, and the library's own counters cost as much as what is counted.
    """

    def __init__(self) -> None:
        self._answered: dict[tuple[str, str, int], int] = {}
        self._seconds: dict[str, list[float]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One more; ``route`` is a template, never a raw path."""
        key = method, route, status
        self._answered[key] = self._answered.get(key, 0) + 1
        taken = self._seconds.get(route)
        if taken is None:  # one number for each bucket, one for what is slower, and the sum
            taken = self._seconds[route] = [0.0] * (len(FAST) + 2)
        taken[bisect_left(FAST, seconds)] += 1
        taken[-1] += seconds

    def collect(self) -> Iterator[Metric]:
        """What Prometheus reads."""
        answered = CounterMetricFamily("countersign_http_requests", "Requests answered",
                                       labels=("method", "route", "status"))
        for (method, route, status), number in self._answered.items():
            answered.add_metric((method, route, str(status)), number)
        yield answered
        seconds = HistogramMetricFamily("countersign_http_request_seconds", "Time to answer", labels=("route",))
        bounds = [*map(floatToGoString, FAST), "+Inf"]
        for route, taken in self._seconds.items():
            seconds.add_metric((route,), list(zip(bounds, accumulate(taken[:-1]), strict=True)), taken[-1])
        yield seconds


class Metrics:
    """Every counter, gauge and histogram of the desk. Labels have few values: templates, never raw paths."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.answers = Answers()
        self.registry.register(self.answers)
        self.telegram_updates = self._counter("telegram_updates", "Updates by what became of them", "outcome")
        self.telegram_requests = self._counter("telegram_requests", "Bot API calls", "method", "outcome")
        self.telegram_pace = self._gauge("telegram_pace", "Messages a second the notifier allows itself")
        self.inbox_pending = self._gauge("inbox_pending", "Deliveries not yet handled")
        self.inbox_dead = self._gauge("inbox_dead", "Deliveries given up")
        self.inbox_held = self._gauge("inbox_held", "Deliveries held back because they are not meant for us")
        self.stripe_events = self._counter("stripe_events", "Stripe events by what became of them at the door",
                                           "outcome")
        self.stripe_other_version = self._counter("stripe_other_version", "Stripe events in another API version")
        self.outbox_pending = self._gauge("outbox_pending", "Messages owed", "priority")
        self.outbox_dead = self._gauge("outbox_dead", "Messages given up")
        self.outbox_resent = self._counter("outbox_resent", "Messages sent again after an unknown outcome")
        self.cards_sent = self._counter("cards_sent", "Cards sent")
        self.decisions = self._counter("decisions", "Decisions made", "decision", "door")
        self.orders_unknown = self._gauge("orders_unknown", "Orders whose outcome is not known")
        self.fan_out_seconds = self._histogram("fan_out_chunk_seconds", "Time a fan-out chunk held the writer")
        self.auth_failures = self._counter("auth_failures", "Credentials refused", "reason")
        self.rate_limited = self._counter("rate_limited", "Requests over a limit", "bucket")
        self.loop_lag_seconds = self._histogram("loop_lag_seconds", "How late the event loop is")
        self.task_restarts = self._counter("task_restarts", "Background tasks restarted", "task")
        self.redis_up = self._gauge("redis_up", "Whether Redis answers")
        self.database_up = self._gauge("database_up", "Whether the database answers")

    def render(self) -> tuple[bytes, str]:
        """The exposition and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"countersign_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"countersign_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"countersign_{name}", text, labels, registry=self.registry, buckets=FAST)


LAG_EVERY_SECONDS = 0.5


async def watch_loop(metrics: Metrics, stopping: asyncio.Event) -> None:
    """Measure how late the event loop is: what blocks it delays everyone."""
    loop = asyncio.get_running_loop()
    while not stopping.is_set():
        due = loop.time() + LAG_EVERY_SECONDS
        await asyncio.sleep(LAG_EVERY_SECONDS)
        metrics.loop_lag_seconds.observe(max(0.0, loop.time() - due))
