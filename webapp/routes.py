"""Every route of the HTTP door, on one screen."""

from aiohttp import web

from models.signal import SignalStatus
from services.billing import KINDS
from webapp import health, openapi, pages, stripe_webhook, telegram_webhook
from webapp.api import (
    accounts,
    acts,
    approvals,
    auth,
    billing,
    devices,
    doctor,
    ea,
    ea_orders,
    ea_symbols,
    events,
    linking,
    pairing,
    positions,
    previews,
    providers,
    receipts,
    signals,
    symbols,
)
from webapp.api.signals import guarded
from webapp.idempotent import once

API = "/api/v1"


def routes() -> list[web.RouteDef]:
    """The table: API, Mini App pages, webhook, operations."""
    return [*api(), *pages.routes(), *operations()]


def api() -> list[web.RouteDef]:
    """What clients call, as the OpenAPI document describes it."""
    cancelled, closed = signals.ending(SignalStatus.CANCELLED), signals.ending(SignalStatus.CLOSED)
    return [
        web.post(f"{API}/auth/telegram", auth.sign_in),
        web.post(f"{API}/auth/refresh", auth.refresh),
        web.post(f"{API}/auth/logout", auth.sign_out),
        web.get(f"{API}/me", auth.me),
        web.post(f"{API}/signals", guarded(signals.publish)),
        web.get(f"{API}/signals/{{id}}", guarded(signals.show)),
        web.post(f"{API}/signals/{{id}}/revise", guarded(signals.revise)),
        web.post(f"{API}/signals/{{id}}/cancel", guarded(cancelled)),
        web.post(f"{API}/signals/{{id}}/close", guarded(closed)),
        web.get(f"{API}/providers", providers.listed),
        web.put(f"{API}/providers/{{id}}/follow", providers.follow),
        web.delete(f"{API}/providers/{{id}}/follow", providers.unfollow),
        web.get(f"{API}/approvals", approvals.history),
        web.get(f"{API}/approvals/pending", approvals.pending),
        web.get(f"{API}/approvals/{{id}}", approvals.show),
        web.post(f"{API}/approvals/{{id}}/approve", approvals.approve),
        web.post(f"{API}/approvals/{{id}}/reject", approvals.reject),
        web.get(f"{API}/accounts", accounts.listed),
        web.post(f"{API}/accounts/link", linking.link),
        web.get(f"{API}/accounts/{{id}}", accounts.show),
        web.patch(f"{API}/accounts/{{id}}", accounts.change),
        web.delete(f"{API}/accounts/{{id}}", linking.unlink),
        web.put(f"{API}/accounts/{{id}}/primary", linking.make_primary),
        web.get(f"{API}/accounts/{{id}}/symbols", symbols.listed),
        web.put(f"{API}/accounts/{{id}}/symbols/{{symbol}}", symbols.edit),
        web.delete(f"{API}/accounts/{{id}}/symbols/{{symbol}}", symbols.forget),
        web.get(f"{API}/accounts/{{id}}/positions", positions.of_account),
        web.post(f"{API}/accounts/{{id}}/positions/{{ticket}}/close", acts.close),
        web.patch(f"{API}/accounts/{{id}}/positions/{{ticket}}", acts.modify),
        web.get(f"{API}/accounts/{{id}}/equity", positions.equity_of),
        web.get(f"{API}/accounts/{{id}}/history", positions.history_of),
        web.get(f"{API}/positions", positions.of_primary),
        web.get(f"{API}/portfolio", positions.combined),
        web.get(f"{API}/devices", devices.listed),
        web.post(f"{API}/devices", devices.register),
        web.patch(f"{API}/devices/{{id}}", devices.change),
        web.post(f"{API}/devices/pairing", pairing.offer),
        web.get(f"{API}/devices/pairing/{{id}}", pairing.show),
        web.post(f"{API}/devices/{{id}}/rotate", devices.rotate),
        web.post(f"{API}/devices/{{id}}/revoke", devices.revoke),
        web.get(f"{API}/devices/{{id}}/doctor", doctor.show),
        web.get(f"{API}/ea/time", ea.time),
        web.post(f"{API}/ea/pair", pairing.pair),
        web.post(f"{API}/ea/snapshot", ea.snapshot),
        web.post(f"{API}/ea/symbols", ea_symbols.symbols),
        web.get(f"{API}/ea/poll", ea_orders.poll, allow_head=False),
        web.post(f"{API}/ea/begin", ea_orders.begin),
        web.post(f"{API}/ea/ack", ea_orders.acknowledge),
        web.get(f"{API}/events", events.stream, allow_head=False),
        web.get(f"{API}/billing/plans", billing.plans),
        web.get(f"{API}/billing/subscription", billing.subscription),
        web.get(f"{API}/billing/invoices", billing.invoices),
        web.get(f"{API}/billing/receipts", receipts.listed),
        web.get(f"{API}/billing/preview", previews.show),
        *(web.post(f"{API}/billing/{kind.replace('_', '-')}", once(billing.acting(kind))) for kind in KINDS),
    ]


def operations() -> list[web.RouteDef]:
    """What operators and Telegram call."""
    return [
        web.get(f"{API}/openapi.json", openapi.show),
        web.post("/webhook/telegram", telegram_webhook.receive),
        web.post("/webhook/stripe", stripe_webhook.receive),
        web.get("/livez", health.livez),
        web.get("/readyz", health.readyz),
        web.get("/metrics", health.metrics),
    ]
