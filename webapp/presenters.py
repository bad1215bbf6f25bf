"""What the JSON API shows of the desk's objects: ids and decimals as strings, instants in UTC."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from models.account import Account
from models.billing import Operation, Subscription
from models.message import InboxItem
from models.order import Order
from models.position import EquityPoint, PositionAct
from models.symbol import SymbolMap
from models.user import User
from runtime import strict_json
from services import orders, positions, terms
from services.approvals import ApprovalView
from services.device_orders import Offer, Offered
from services.devices import DeviceView, Registered
from services.doctor import Diagnosis
from services.history import PositionView
from services.pairing import Pairing, PairingOffer
from services.payments.protocol import Invoice, Money
from services.portfolio import CurrencyTotal
from services.positions import Portfolio
from services.previews import PlanPreview
from services.receipts import Receipt
from services.signals import SignalView
from services.terms import Levels
from services.tiers import Tier
from terminal.protocol import Position


def levels(of: Levels) -> dict[str, Any]:
    """The terms as a provider sends them."""
    return {
        "symbol": of.symbol, "side": of.side, "order_type": of.order_type, "entry_price": of.entry_price,
        "entry_range": list(of.entry_range) if of.entry_range else None, "stop_loss": of.stop_loss,
        "take_profits": list(of.take_profits), "note": of.note,
    }


def signal(view: SignalView) -> dict[str, Any]:
    """A Signal of the API."""
    return {
        "id": str(view.id), "external_id": view.external_id,
        "provider": {"id": str(view.provider_id), "name": view.provider_name}, **levels(view.levels),
        "status": view.status, "terms_hash": view.terms_hash, "published_at": view.published_at,
        "expires_at": view.expires_at,
    }


def approval(view: ApprovalView) -> dict[str, Any]:
    """An Approval of the API; ``expires_at`` is its own, which a late card has later than its signal."""
    return {
        "id": str(view.id), "signal_id": str(view.signal_id),
        "provider": {"id": str(view.provider_id), "name": view.provider_name}, **levels(view.levels),
        "status": view.status, "terms_hash": view.terms_hash, "risk_reward": terms.risk_reward(view.levels),
        "published_at": view.published_at, "expires_at": view.expires_at, "decided_at": view.decided_at,
        "decided_via": view.decided_via, "reason": view.reason, "order": order(view.order),
    }


def order(row: Order | None) -> dict[str, Any] | None:
    """An Order of the API."""
    if row is None:
        return None
    return {
        "id": str(row.id), "approval_id": str(row.approval_id), "account_id": str(row.account_id),
        "status": row.status, "volume": row.volume, "ticket": row.ticket, "fill_price": row.fill_price,
        "profit": row.profit, "retcode": row.retcode, "error": row.error, "reason": row.reason,
        "created_at": row.created_at, "updated_at": row.updated_at,
    }


def account(row: Account, portfolio: Portfolio | None, default_sizing: dict[str, str]) -> dict[str, Any]:
    """An Account of the API; ``info`` is null when its terminal has never answered."""
    return {
        "id": str(row.id), "label": row.label, "sizing": row.sizing or default_sizing, "route": row.route,
        "login": row.login, "server": row.server, "broker": row.broker, "currency": row.currency,
        "is_primary": row.is_primary, "verified_at": row.verified_at, "status": row.status,
        "can_trade": row.can_trade, "trouble": row.trouble or (None if row.can_trade else "view_only"),
        "margin_mode": row.margin_mode, "leverage": row.leverage,
        "info": _figures(portfolio) if portfolio else None,
    }


def _figures(of: Portfolio) -> dict[str, Any]:
    snapshot = of.snapshot
    return {
        "balance": snapshot.balance, "equity": snapshot.equity, "margin": snapshot.margin,
        "free_margin": snapshot.free_margin, "margin_level": snapshot.margin_level,
        "drawdown_percent": of.drawdown_percent, "as_of": snapshot.taken_at, "stale": of.stale,
    }


def symbol(row: SymbolMap) -> dict[str, Any]:
    """A line of an account's symbol map."""
    return {"symbol": row.symbol, "broker_symbol": row.broker_symbol, "source": row.source, "problem": row.problem,
            "checked_at": row.checked_at}


def device(of: DeviceView) -> dict[str, Any]:
    """A Device of the API."""
    return {
        "id": of.id, "name": of.name, "account_id": str(of.account_id) if of.account_id is not None else None,
        "status": of.status, "last_seen_at": of.last_seen_at, "created_at": of.created_at,
        "requires_envelope": of.requires_envelope, "version": of.version,
        "is_trading_allowed": of.is_trading_allowed, "has_previous_key": of.has_previous_key,
    }


def diagnosis(of: Diagnosis) -> dict[str, Any]:
    """A Diagnosis of the API."""
    return {
        "state": of.state, "as_of": of.as_of,
        "findings": [{"code": one.code, "state": one.state, "title": one.title, "detail": one.detail, "fix": one.fix}
                     for one in of.findings],
        "symbols": [{"symbol": one.sought.symbol, "broker_symbol": one.broker_symbol, "state": one.state,
                     "detail": one.detail} for one in of.symbols],
    }


def registered(of: Registered) -> dict[str, Any]:
    """A device with the secret that is shown this once."""
    return {"device": device(of.device), "secret": of.secret}


def orders_offered(of: Offer) -> dict[str, Any]:
    """What a device is offered."""
    return {"orders": [_offered(order) for order in of.orders], "next_poll_seconds": of.next_poll_seconds,
            "wanted": {"all": of.wants_all, "symbols": list(of.wanted)}}


def _offered(of: Offered) -> dict[str, Any]:
    """An EaOrder: levels as they were countersigned, the volume as it was written down."""
    order = of.order
    return {
        "order_id": str(order.id), "seq": order.seq, "symbol": of.symbol, "side": order.side,
        "order_type": order.order_type, "volume": order.volume, "entry_price": order.entry_price,
        "stop_loss": order.stop_loss, "take_profits": orders.by_distance(order),
        "max_deviation_points": of.max_deviation_points, "magic": order.magic, "comment": f"CS{order.id}",
        "issued_at": order.created_at, "expires_at": order.expires_at, "login": of.account.login,
        "server": of.account.server, "risk": of.risk, "began_at": of.began_at,
    }


def pairing_offer(of: PairingOffer, picture: str) -> dict[str, Any]:
    """A pairing code that is shown this once, as text and as a picture."""
    return {"id": str(of.id), "name": of.name, "code": of.code, "expires_at": of.expires_at, "qr_svg": picture}


def pairing(of: Pairing) -> dict[str, Any]:
    """What has become of a pairing code."""
    return {"id": str(of.id), "name": of.name, "expires_at": of.expires_at,
            "device": device(of.device) if of.device is not None else None}


def portfolio(of: Portfolio) -> dict[str, Any]:
    """The answer of the positions routes."""
    return {
        "account_id": str(of.account_id), "currency": of.snapshot.currency, **_figures(of),
        "max_drawdown_percent": of.max_drawdown_percent, "day_change": of.day_change, "week_change": of.week_change,
        "open_positions_count": len(of.positions),
        "total_profit": of.total_profit, "total_profit_percent": positions.percent(of.total_profit,
                                                                                  of.snapshot.balance),
        "positions": [_position(p, of.snapshot.balance) for p in of.positions],
    }


def written(of: Portfolio) -> bytes:
    """The same as it is sent."""
    return strict_json.dumps(portfolio(of))


def _position(of: Position, balance: Decimal) -> dict[str, Any]:
    return {
        "ticket": of.ticket, "symbol": of.symbol, "side": of.side.value, "volume": of.volume,
        "entry_price": of.entry_price, "current_price": of.current_price, "stop_loss": of.stop_loss,
        "take_profit": of.take_profit, "profit": of.profit, "profit_points": of.profit_points,
        "profit_percent": positions.percent(of.profit, balance), "swap": of.swap, "opened_at": of.opened_at,
    }


def act(row: PositionAct) -> dict[str, Any]:
    """What was asked of a position, and what has become of it so far."""
    return {
        "id": str(row.id), "account_id": str(row.account_id), "ticket": row.ticket, "kind": row.kind,
        "status": row.status, "volume": row.volume, "stop_loss": row.stop_loss, "take_profit": row.take_profit,
        "price": row.price, "retcode": row.retcode, "reason": row.reason, "error": row.error,
        "created_at": row.created_at, "updated_at": row.updated_at,
    }


def currency_total(of: CurrencyTotal) -> dict[str, Any]:
    """A user's accounts of one currency together, real or practice; the sums are null where none has figures."""
    return {
        "currency": of.currency, "practice": of.is_practice, "accounts": of.accounts, "balance": of.balance,
        "equity": of.equity, "margin": of.margin, "free_margin": of.free_margin, "total_profit": of.profit,
        "as_of": of.as_of, "stale": of.stale,
        "missing": [{"id": str(row.id), "label": row.label} for row in of.missing],
    }


def equity_point(of: EquityPoint, since: datetime) -> dict[str, Any]:
    """A point of the curve; the one before its beginning is shown there."""
    return {"at": max(of.at, since), "equity": of.equity, "balance": of.balance, "net_deposits": of.net_deposits}


def position_view(of: PositionView) -> dict[str, Any]:
    """A position of the history with its events."""
    row = of.record
    return {
        "id": str(row.id), "position_id": row.position_id if row.position_id > 0 else None,
        "order_id": str(row.order_id) if row.order_id else None,
        "symbol": row.symbol, "side": row.side, "status": row.status, "volume": row.volume,
        "closed_volume": row.closed_volume, "entry_price": row.entry_price, "exit_price": row.exit_price,
        "stop_loss": row.stop_loss, "take_profit": row.take_profit, "profit": row.profit, "swap": row.swap,
        "commission": row.commission, "fee": row.fee, "net": row.net, "reason": row.reason,
        "opened_at": row.opened_at, "closed_at": row.closed_at,
        "events": [{"kind": event.kind, "volume": event.volume, "price": event.price, "stop_loss": event.stop_loss,
                    "take_profit": event.take_profit, "reason": event.reason, "at": event.at} for event in of.events],
    }


def me(user: User, tier: Tier, roles: list[str]) -> dict[str, Any]:
    """Who is signed in and what their plan covers."""
    return {
        "id": str(user.id), "telegram_id": user.telegram_id, "first_name": user.first_name, "tier": tier.name,
        "roles": roles, "limits": {"accounts": tier.accounts, "devices": tier.devices, "live": tier.live,
                                   "copy_trading": tier.copy_trading,
                                   "card_delay_seconds": tier.card_delay_seconds},
    }


def plan(tier: Tier) -> dict[str, Any]:
    """A plan and its price."""
    return {
        "tier": tier.name, "price": {"amount_minor": tier.amount_minor, "currency": "usd"}, "accounts": tier.accounts,
        "devices": tier.devices, "live": tier.live, "copy_trading": tier.copy_trading,
        "card_delay_seconds": tier.card_delay_seconds,
    }


def offer(provider: str, price: Money) -> dict[str, Any]:
    """One way to pay for a plan."""
    return {"provider": provider, "amount_minor": price.amount_minor, "currency": price.currency}


def subscription(tier: Tier, row: Subscription | None) -> dict[str, Any]:
    """The tier in force, and the subscription that pays for it where there is one."""
    if row is None:
        return {"tier": tier.name, "status": "none", "provider": None, "current_period_end": None,
                "cancel_at_period_end": False, "price": {"amount_minor": 0, "currency": "usd"}, "plan": None}
    return {
        "tier": tier.name, "status": row.status, "provider": row.provider,
        "current_period_end": row.current_period_end, "cancel_at_period_end": row.cancel_at_period_end,
        "price": {"amount_minor": row.amount_minor, "currency": row.currency}, "plan": row.tier,
    }


def invoice(of: Invoice) -> dict[str, Any]:
    """An invoice as the provider has it."""
    return {
        "id": of.id, "number": of.number, "status": of.status, "amount_minor": of.money.amount_minor,
        "currency": of.money.currency, "created_at": of.created_at, "hosted_url": of.hosted_url,
        "pdf_url": of.pdf_url,
    }


def receipt(of: Receipt) -> dict[str, Any]:
    """A movement of money: when, how we know, and what it opened."""
    return {
        "id": str(of.id), "kind": of.kind, "provider": of.provider, "amount_minor": of.money.amount_minor,
        "currency": of.money.currency, "paid_at": of.paid_at, "heard_at": of.heard_at, "event_id": of.event_id,
        "invoice_id": of.invoice_id, "tier": of.tier, "until": of.until, "revoked_at": of.revoked_at,
        "reason": of.reason,
    }


def preview(of: PlanPreview) -> dict[str, Any]:
    """What a change of plan costs now."""
    return {
        "tier": of.tier, "takes_effect": of.takes_effect, "amount_minor": of.money.amount_minor,
        "currency": of.money.currency, "as_of": of.as_of,
    }


def delivery(item: InboxItem) -> dict[str, Any]:
    """A delivery that waits for a person; what is in it is not shown."""
    return {
        "source": item.source, "external_id": item.external_id, "lane": item.lane, "state": item.state,
        "attempts": item.attempts, "error": item.error, "received_at": item.received_at,
    }


def operation(of: Operation) -> dict[str, Any]:
    """Something asked of a payment provider, for an admin."""
    return {
        "id": of.id, "user_id": str(of.user_id), "kind": of.kind, "state": of.state, "created_at": of.created_at,
        "updated_at": of.updated_at,
    }


def pending(views: list[ApprovalView], now: datetime, next_poll_seconds: int) -> dict[str, Any]:
    """The list of what waits for an answer."""
    return {"items": [approval(view) for view in views], "server_time": now, "next_poll_seconds": next_poll_seconds}
