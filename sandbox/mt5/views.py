"""Rows of the book as the library's tuples have them: floats, whole numbers, and the trade server's clock."""

from decimal import Decimal
from typing import Any

from sandbox.mt5.book import BUY, HEDGING, Account, Deal, Order, Position
from sandbox.mt5.market import Quote
from sandbox.mt5.reckoning import Figures
from sandbox.mt5.servers import Instrument, ServerSpec

# Fields of a symbol that say nothing here.
ZERO_FLOATS = (
    "last lasthigh lastlow volume_real volumehigh_real volumelow_real option_strike trade_accrued_interest "
    "trade_face_value trade_liquidity_rate session_volume session_turnover session_interest "
    "session_buy_orders_volume session_sell_orders_volume session_open session_close session_aw "
    "session_price_settlement session_price_limit_min session_price_limit_max price_change price_volatility "
    "price_theoretical price_greeks_delta price_greeks_theta price_greeks_gamma price_greeks_vega price_greeks_rho "
    "price_greeks_omega price_sensitivity")
ZERO_NUMBERS = (
    "session_deals session_buy_orders session_sell_orders volume volumehigh volumelow start_time expiration_time "
    "order_gtc_mode option_mode option_right chart_mode")
NOTHING: dict[str, Any] = {**dict.fromkeys(ZERO_FLOATS.split(), 0.0), **dict.fromkeys(ZERO_NUMBERS.split(), 0)}


class Clock:
    """The trade server's clock: milliseconds UTC in, its wall clock out."""

    def __init__(self, server: ServerSpec) -> None:
        self._ahead = server.offset_minutes * 60_000

    def msc(self, utc_msc: int) -> int:
        return utc_msc + self._ahead if utc_msc else 0

    def seconds(self, utc_msc: int) -> int:
        return self.msc(utc_msc) // 1000

    def utc_msc(self, wall_seconds: int) -> int:
        return wall_seconds * 1000 - self._ahead


def account_info(account: Account, server: ServerSpec, figures: Figures, *, investor: bool) -> dict[str, Any]:
    return {
        "login": account.login, "trade_mode": 0, "leverage": account.leverage, "limit_orders": account.limit_orders,
        "margin_so_mode": 0, "trade_allowed": account.trade_allowed and not investor,
        "trade_expert": account.expert_allowed, "margin_mode": 2 if account.mode == HEDGING else 0,
        "currency_digits": account.digits, "fifo_close": account.fifo_close, "balance": float(account.balance),
        "credit": float(account.credit), "profit": float(figures.profit), "equity": float(figures.equity),
        "margin": float(figures.margin), "margin_free": float(figures.free), "margin_level": float(figures.level),
        "margin_so_call": 100.0, "margin_so_so": 50.0, "margin_initial": 0.0, "margin_maintenance": 0.0,
        "assets": 0.0, "liabilities": 0.0, "commission_blocked": 0.0, "name": account.name, "server": server.name,
        "currency": account.currency, "company": server.company}


def terminal_info(server: ServerSpec, *, connected: bool, trade_allowed: bool, api_disabled: bool) -> dict[str, Any]:
    return {
        "community_account": False, "community_connection": False, "connected": connected, "dlls_allowed": False,
        "trade_allowed": trade_allowed, "tradeapi_disabled": api_disabled, "email_enabled": False,
        "ftp_enabled": False, "notifications_enabled": False, "mqid": False, "build": 6231, "maxbars": 100_000,
        "codepage": 0, "ping_last": 12_500, "community_balance": 0.0, "retransmission": 0.0,
        "company": server.company, "name": "MetaTrader 5", "language": "English", "path": "", "data_path": "",
        "commondata_path": ""}


def symbol_info(symbol: Instrument, quote: Quote | None, clock: Clock, tick_value: Decimal, *,
                selected: bool) -> dict[str, Any]:
    bid, ask = (float(quote.bid), float(quote.ask)) if quote is not None else (0.0, 0.0)
    spread = int((quote.ask - quote.bid) / symbol.point) if quote is not None else 0
    return {
        **NOTHING, "custom": False, "select": selected,
        "visible": selected, "time": clock.seconds(quote.at_msc) if quote is not None else 0,
        "digits": symbol.digits, "spread": spread, "spread_float": True, "ticks_bookdepth": 0,
        "trade_calc_mode": symbol.calc_mode, "trade_mode": symbol.trade_mode,
        "trade_stops_level": symbol.stops_level, "trade_freeze_level": symbol.freeze_level,
        "trade_exemode": symbol.execution, "swap_mode": 1, "swap_rollover3days": 3, "margin_hedged_use_leg": True,
        "expiration_mode": symbol.expiration_mode, "filling_mode": symbol.filling, "order_mode": 127,
        "bid": bid, "bidhigh": bid, "bidlow": bid, "ask": ask, "askhigh": ask, "asklow": ask,
        "point": float(symbol.point), "trade_tick_value": float(tick_value),
        "trade_tick_value_profit": float(tick_value), "trade_tick_value_loss": float(tick_value),
        "trade_tick_size": float(symbol.tick_size), "trade_contract_size": float(symbol.contract_size),
        "volume_min": float(symbol.volume_min), "volume_max": float(symbol.volume_max),
        "volume_step": float(symbol.volume_step), "volume_limit": float(symbol.volume_limit),
        "swap_long": float(symbol.swap_long), "swap_short": float(symbol.swap_short),
        "margin_initial": float(symbol.margin_initial), "margin_maintenance": 0.0, "margin_hedged": 0.0, "basis": "",
        "category": "", "currency_base": symbol.currency_base, "currency_profit": symbol.currency_profit,
        "currency_margin": symbol.currency_margin, "bank": "", "description": symbol.description, "exchange": "",
        "formula": "", "isin": "", "name": symbol.name, "page": "", "path": f"Sandbox\\{symbol.name}"}


def tick(quote: Quote, clock: Clock) -> dict[str, Any]:
    return {"time": clock.seconds(quote.at_msc), "bid": float(quote.bid), "ask": float(quote.ask), "last": 0.0,
            "volume": 0, "time_msc": clock.msc(quote.at_msc), "flags": 6, "volume_real": 0.0}


def position(row: Position, current: Decimal, profit: Decimal, clock: Clock) -> dict[str, Any]:
    return {
        "ticket": row.ticket, "time": clock.seconds(row.opened_msc), "time_msc": clock.msc(row.opened_msc),
        "time_update": clock.seconds(row.updated_msc), "time_update_msc": clock.msc(row.updated_msc),
        "type": row.type, "magic": row.magic, "identifier": row.identifier, "reason": row.reason,
        "volume": float(row.volume), "price_open": float(row.price_open), "sl": float(row.sl), "tp": float(row.tp),
        "price_current": float(current), "swap": float(row.swap), "profit": float(profit), "symbol": row.symbol,
        "comment": row.comment, "external_id": ""}


def order(row: Order, quote: Quote | None, clock: Clock) -> dict[str, Any]:
    current = row.price_open if quote is None else quote.ask if row.type % 2 == BUY else quote.bid
    return {
        "ticket": row.ticket, "time_setup": clock.seconds(row.setup_msc), "time_setup_msc": clock.msc(row.setup_msc),
        "time_done": clock.seconds(row.done_msc), "time_done_msc": clock.msc(row.done_msc),
        "time_expiration": clock.seconds(row.expires_msc), "type": row.type, "type_time": row.type_time,
        "type_filling": row.filling, "state": row.state, "magic": row.magic, "position_id": row.position_id,
        "position_by_id": row.position_by, "reason": row.reason, "volume_initial": float(row.volume_initial),
        "volume_current": float(row.volume_current), "price_open": float(row.price_open), "sl": float(row.sl),
        "tp": float(row.tp), "price_current": float(current), "price_stoplimit": 0.0, "symbol": row.symbol,
        "comment": row.comment, "external_id": ""}


def deal(row: Deal, clock: Clock) -> dict[str, Any]:
    return {
        "ticket": row.ticket, "order": row.order, "time": clock.seconds(row.at_msc),
        "time_msc": clock.msc(row.at_msc), "type": row.type, "entry": row.entry, "magic": row.magic,
        "position_id": row.position_id, "reason": row.reason, "volume": float(row.volume), "price": float(row.price),
        "commission": float(row.commission), "swap": float(row.swap), "profit": float(row.profit),
        "fee": float(row.fee), "symbol": row.symbol, "comment": row.comment, "external_id": ""}
