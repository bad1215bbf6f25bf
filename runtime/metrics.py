"""What the process counts, for Prometheus. One registry a process, handed around, never a global."""

import asyncio

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Every counter, gauge and histogram of the desk. Labels have few values: templates, never raw paths."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.http_requests = self._counter("http_requests", "Requests answered", "method", "route", "status")
        self.http_seconds = self._histogram("http_request_seconds", "Time to answer", "route")
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

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. Which counters that are is looked up once: it is asked for every request."""
        found = self._answered.get((method, route, status))
        if found is None:
            found = self.http_requests.labels(method, route, status), self.http_seconds.labels(route)
            self._answered[method, route, status] = found
        found[0].inc()
        found[1].observe(seconds)

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
