"""Metrics: what Prometheus would read, and that one process may hold several."""

from prometheus_client.parser import text_string_to_metric_families

from runtime.metrics import Metrics


def samples(metrics: Metrics) -> dict[str, float]:
    body, _ = metrics.render()
    return {f"{sample.name}{sorted(sample.labels.items())}": sample.value
            for family in text_string_to_metric_families(body.decode()) for sample in family.samples}


def test_everything_counted_is_rendered() -> None:
    metrics = Metrics()
    metrics.answers.count("GET", "/api/v1/me", 200, 0.003)
    metrics.answers.count("GET", "/api/v1/me", 503, 60.0)
    metrics.answers.count("GET", "/api/v1/me", 503, 0.005)
    metrics.inbox_pending.set(7)
    found = samples(metrics)
    assert found["countersign_http_requests_total[('method', 'GET'), ('route', '/api/v1/me'), ('status', '200')]"] == 1
    assert found["countersign_inbox_pending[]"] == 7
    assert found["countersign_http_request_seconds_bucket[('le', '0.0025'), ('route', '/api/v1/me')]"] == 0
    assert found["countersign_http_request_seconds_bucket[('le', '0.005'), ('route', '/api/v1/me')]"] == 2
    assert found["countersign_http_request_seconds_bucket[('le', '5.0'), ('route', '/api/v1/me')]"] == 2
    assert found["countersign_http_request_seconds_bucket[('le', '+Inf'), ('route', '/api/v1/me')]"] == 3
    assert found["countersign_http_request_seconds_count[('route', '/api/v1/me')]"] == 3
    assert found["countersign_http_request_seconds_sum[('route', '/api/v1/me')]"] == 60.008
    assert found["countersign_http_requests_total[('method', 'GET'), ('route', '/api/v1/me'), ('status', '503')]"] == 2


def test_every_name_says_whose_it_is_and_has_a_text() -> None:
    metrics = Metrics()
    body, content_type = metrics.render()
    assert content_type.startswith("text/plain")
    families = list(text_string_to_metric_families(body.decode()))
    made = [name for name in vars(metrics) if name != "registry"]
    assert len(families) >= len(made) > 15
    for family in families:
        assert family.name.startswith("countersign_") and family.documentation, family.name


def test_two_registries_do_not_meet() -> None:
    one, other = Metrics(), Metrics()
    one.cards_sent.inc(3)
    assert samples(one)["countersign_cards_sent_total[]"] == 3
    assert samples(other)["countersign_cards_sent_total[]"] == 0


def test_hostile_labels_stay_on_their_line() -> None:
    metrics, reason = Metrics(), 'bad"\n\\reason} 1'
    metrics.auth_failures.labels(reason).inc()
    assert samples(metrics)[f"countersign_auth_failures_total{[('reason', reason)]}"] == 1
