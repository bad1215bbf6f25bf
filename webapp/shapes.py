"""JSON Schemas of what the API answers, for the OpenAPI document; the tests hold the answers against them."""

from typing import Any

from services.events import EventKind

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
MAYBE: Schema = {"type": ["string", "null"]}
DECIMAL: Schema = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
MAYBE_DECIMAL: Schema = {"type": ["string", "null"], "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
INSTANT: Schema = {"type": "string", "format": "date-time"}
MAYBE_INSTANT: Schema = {"type": ["string", "null"], "format": "date-time"}
WHOLE: Schema = {"type": "integer"}
MAYBE_WHOLE: Schema = {"type": ["integer", "null"]}
YES_NO: Schema = {"type": "boolean"}


def of(**properties: Schema) -> Schema:
    """An object with exactly these fields."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def maybe(schema: Schema, **properties: Schema) -> Schema:
    """The same object, with fields that may be left out."""
    return {**schema, "properties": {**schema["properties"], **properties}}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def page(item: str) -> Schema:
    return of(items={"type": "array", "items": ref(item)}, next_cursor=MAYBE)


LEVELS = {
    "symbol": TEXT, "side": one_of("buy", "sell"), "order_type": one_of("market", "limit", "stop"),
    "entry_price": MAYBE_DECIMAL, "entry_range": {"type": ["array", "null"], "items": DECIMAL},
    "stop_loss": MAYBE_DECIMAL, "take_profits": {"type": "array", "items": DECIMAL}, "note": MAYBE,
}
PROVIDER = of(id=TEXT, name=TEXT)
SIGNAL = {"id": TEXT, "external_id": TEXT, "provider": PROVIDER, **LEVELS,
          "status": one_of("open", "cancelled", "closed", "expired"), "terms_hash": TEXT, "published_at": INSTANT,
          "expires_at": INSTANT}
STATUSES = ("pending", "approved", "rejected", "expired", "withdrawn")
FIGURES = {"balance": DECIMAL, "equity": DECIMAL, "margin": DECIMAL, "free_margin": DECIMAL,
           "margin_level": MAYBE_DECIMAL, "drawdown_percent": DECIMAL, "as_of": INSTANT, "stale": YES_NO}
PRICE = of(amount_minor=WHOLE, currency=TEXT)

SHAPES: dict[str, Schema] = {
    "Problem": {"type": "object", "required": ["type", "title", "status", "detail", "code", "request_id"],
                "properties": {"type": TEXT, "title": TEXT, "status": WHOLE, "detail": TEXT, "code": TEXT,
                               "request_id": TEXT, "errors": {"type": "array", "items": of(loc=TEXT, msg=TEXT)},
                               "needed_tier": TEXT, "upgrade_url": TEXT, "reason": TEXT, "next_counter": WHOLE}},
    "Pair": of(access_token=TEXT, token_type=one_of("Bearer"), expires_in=WHOLE, refresh_token=TEXT),
    "Me": of(id=TEXT, telegram_id=WHOLE, first_name=TEXT, tier=TEXT, roles={"type": "array", "items": TEXT},
             limits=of(accounts=WHOLE, devices=WHOLE, live=YES_NO, copy_trading=YES_NO, card_delay_seconds=WHOLE)),
    "Signal": of(**SIGNAL),
    "CountedSignal": of(**SIGNAL, approvals=of(**dict.fromkeys(STATUSES, WHOLE))),
    "Provider": of(id=TEXT, name=TEXT, following=YES_NO),
    "Providers": page("Provider"),
    "Order": of(id=TEXT, approval_id=TEXT, account_id=TEXT,
                status=one_of("queued", "leased", "sent", "placed", "filled", "rejected", "failed", "unknown",
                              "expired", "closed"),
                volume=MAYBE_DECIMAL, ticket=MAYBE_WHOLE, fill_price=MAYBE_DECIMAL, profit=MAYBE_DECIMAL,
                retcode=MAYBE_WHOLE, error=MAYBE, reason=MAYBE, created_at=INSTANT, updated_at=INSTANT),
    "Approval": of(id=TEXT, signal_id=TEXT, provider=PROVIDER, **LEVELS, status=one_of(*STATUSES), terms_hash=TEXT,
                   risk_reward=MAYBE_DECIMAL, published_at=INSTANT, expires_at=INSTANT, decided_at=MAYBE_INSTANT,
                   decided_via={"enum": ["chat", "app", "mandate", None]}, reason=MAYBE,
                   order={"anyOf": [ref("Order"), {"type": "null"}]}),
    "Approvals": page("Approval"),
    "Pending": of(items={"type": "array", "items": ref("Approval")}, server_time=INSTANT, next_poll_seconds=WHOLE),
    "Account": of(id=TEXT, label=TEXT, sizing={"type": "object"}, route=one_of("paper", "device", "terminal"),
                  login=TEXT, server=TEXT, broker=TEXT, currency=TEXT, is_primary=YES_NO, verified_at=MAYBE_INSTANT,
                  status=one_of("verified", "pending", "broken"), can_trade=YES_NO, trouble=MAYBE,
                  margin_mode={"enum": ["hedging", "netting", None]}, leverage=MAYBE_WHOLE,
                  info={"anyOf": [of(**FIGURES), {"type": "null"}]}),
    "Accounts": page("Account"),
    "Device": of(id=TEXT, name=TEXT, account_id=MAYBE, status=one_of("active", "offline", "revoked"),
                 last_seen_at=MAYBE_INSTANT, created_at=INSTANT, requires_envelope=YES_NO, version=MAYBE,
                 is_trading_allowed={"type": ["boolean", "null"]}, has_previous_key=YES_NO),
    "Devices": page("Device"),
    "Finding": of(code=TEXT, state=one_of("ok", "unknown", "warn", "bad"), title=TEXT, detail=TEXT, fix=TEXT),
    "Diagnosis": of(state=one_of("ok", "unknown", "warn", "bad"), as_of=MAYBE_INSTANT,
                    findings={"type": "array", "items": ref("Finding")},
                    symbols={"type": "array", "items": of(symbol=TEXT, broker_symbol=MAYBE, state=one_of(
                        "found", "alias", "edited", "ambiguous", "unconfirmed", "missing", "closed", "unknown"),
                        detail=TEXT)}),
    "Registered": of(device=ref("Device"), secret=TEXT),
    "PairingCode": of(id=TEXT, name=TEXT, code=TEXT, expires_at=INSTANT, qr_svg=TEXT),
    "Pairing": of(id=TEXT, name=TEXT, expires_at=INSTANT, device={"anyOf": [ref("Device"), {"type": "null"}]}),
    "Symbol": of(symbol=TEXT, broker_symbol=MAYBE, source=one_of("found", "edited"),
                 problem={"enum": ["missing", "ambiguous", "unconfirmed", None]}, checked_at=INSTANT),
    "Symbols": page("Symbol"),
    "Time": of(server_time=WHOLE),
    "EaOrder": of(order_id=TEXT, seq=WHOLE, symbol=TEXT, side=one_of("buy", "sell"),
                  order_type=one_of("market", "limit", "stop"), volume=DECIMAL, entry_price=MAYBE_DECIMAL,
                  stop_loss=MAYBE_DECIMAL, take_profits={"type": "array", "items": DECIMAL},
                  max_deviation_points=WHOLE, magic=WHOLE, comment={"type": "string", "maxLength": 29},
                  issued_at=INSTANT, expires_at=INSTANT, login=TEXT, server=TEXT, risk=MAYBE_DECIMAL,
                  began_at=MAYBE_INSTANT),
    "Offer": of(orders={"type": "array", "items": ref("EaOrder")}, next_poll_seconds=WHOLE,
                wanted=of(all=YES_NO, symbols={"type": "array", "items": TEXT})),
    "Begun": of(order_id=TEXT, expires_at=INSTANT),
    "Acknowledged": of(recorded=one_of("taken", "late")),
    "Position": of(ticket=WHOLE, symbol=TEXT, side=one_of("buy", "sell"), volume=DECIMAL, entry_price=DECIMAL,
                   current_price=DECIMAL, stop_loss=MAYBE_DECIMAL, take_profit=MAYBE_DECIMAL, profit=DECIMAL,
                   profit_points=DECIMAL, profit_percent=DECIMAL, swap=DECIMAL, opened_at=INSTANT),
    "CurrencyTotal": of(currency=TEXT, practice=YES_NO, accounts=WHOLE, balance=MAYBE_DECIMAL, equity=MAYBE_DECIMAL,
                        margin=MAYBE_DECIMAL, free_margin=MAYBE_DECIMAL, total_profit=MAYBE_DECIMAL,
                        as_of=MAYBE_INSTANT, stale=YES_NO, missing={"type": "array", "items": of(id=TEXT, label=TEXT)}),
    "CurrencyTotals": page("CurrencyTotal"),
    "EquityPoint": of(at=INSTANT, equity=DECIMAL, balance=DECIMAL, net_deposits=MAYBE_DECIMAL),
    "Event": of(event=one_of(*(kind.value for kind in EventKind), "reset"),
                data={"type": "object", "additionalProperties": TEXT,
                      "properties": {"approval_id": TEXT, "order_id": TEXT, "account_id": TEXT, "tier": TEXT,
                                     "status": TEXT}}),
    "EquityPoints": page("EquityPoint"),
    "PastPosition": of(id=TEXT, position_id=MAYBE_WHOLE, order_id=MAYBE, symbol=TEXT, side=one_of("buy", "sell"),
                       status=one_of("open", "closed"), volume=DECIMAL, closed_volume=DECIMAL, entry_price=DECIMAL,
                       exit_price=MAYBE_DECIMAL, stop_loss=MAYBE_DECIMAL, take_profit=MAYBE_DECIMAL, profit=DECIMAL,
                       swap=DECIMAL, commission=DECIMAL, fee=DECIMAL, net=DECIMAL, reason=MAYBE, opened_at=INSTANT,
                       closed_at=MAYBE_INSTANT, events={"type": "array", "items": ref("PositionEvent")}),
    "PastPositions": page("PastPosition"),
    "PositionEvent": of(kind=one_of("opened", "increased", "modified", "reduced", "closed"), volume=MAYBE_DECIMAL,
                        price=MAYBE_DECIMAL, stop_loss=MAYBE_DECIMAL, take_profit=MAYBE_DECIMAL, reason=MAYBE,
                        at=INSTANT),
    "Plans": page("Plan"),
    "Plan": of(tier=TEXT, price=PRICE, accounts=WHOLE, devices=WHOLE, live=YES_NO, copy_trading=YES_NO,
               card_delay_seconds=WHOLE,
               offers={"type": "array", "items": of(provider=TEXT, amount_minor=WHOLE, currency=TEXT)}),
    "Subscription": of(tier=TEXT, status=TEXT, provider=MAYBE, current_period_end=MAYBE_INSTANT,
                       cancel_at_period_end=YES_NO, price=PRICE, plan=MAYBE),
    "Invoices": page("Invoice"),
    "Invoice": of(id=TEXT, number=MAYBE, status=TEXT, amount_minor=WHOLE, currency=TEXT, created_at=INSTANT,
                  hosted_url=MAYBE, pdf_url=MAYBE),
    "Receipt": of(id=TEXT, kind=one_of("charge", "refund", "refund_reversal", "dispute", "dispute_reversal"),
                  provider=TEXT, amount_minor=WHOLE, currency=TEXT, paid_at=INSTANT, heard_at=INSTANT, event_id=MAYBE,
                  invoice_id=MAYBE, tier=MAYBE, until=MAYBE_INSTANT, revoked_at=MAYBE_INSTANT, reason=MAYBE),
    "Receipts": page("Receipt"),
    "Preview": of(tier=TEXT, takes_effect=one_of("now", "period_end"), amount_minor=WHOLE, currency=TEXT,
                  as_of=INSTANT),
    "Address": of(url=TEXT),
    # ``url`` is where to pay, for a plan that has to be bought anew.
    "Changed": maybe(of(tier=TEXT, takes_effect=one_of("now", "period_end", "when_paid")), url=TEXT),
    "Cancelled": of(cancel_at_period_end=YES_NO),
    "PositionAct": of(id=TEXT, account_id=TEXT, ticket=WHOLE, kind=one_of("close", "modify"),
                      status=one_of("queued", "sent", "done", "refused", "unknown"), volume=MAYBE_DECIMAL,
                      stop_loss=MAYBE_DECIMAL, take_profit=MAYBE_DECIMAL, price=MAYBE_DECIMAL, retcode=MAYBE_WHOLE,
                      reason=MAYBE, error=MAYBE, created_at=INSTANT, updated_at=INSTANT),
    "Portfolio": of(account_id=TEXT, currency=TEXT, **FIGURES, max_drawdown_percent=DECIMAL,
                    day_change=MAYBE_DECIMAL, week_change=MAYBE_DECIMAL, open_positions_count=WHOLE,
                    total_profit=DECIMAL, total_profit_percent=DECIMAL,
                    positions={"type": "array", "items": ref("Position")}),
}
