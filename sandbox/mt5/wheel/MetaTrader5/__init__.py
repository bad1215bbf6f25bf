"""A stand-in for the MetaTrader5 package: its functions, tuples, argument checks, errors and waits.

Terminal and trade server are a broker of ``sandbox.mt5`` at the other end of a socket. A folder with a file named
like the terminal and ``config/servers.json`` beside it is a terminal that knows these servers. ``Buy``, ``Sell`` and
``Close`` are left out: they send again blindly, so nothing here may call them.
"""

from collections.abc import Callable as _Callable
from functools import wraps as _wraps
from pathlib import Path as _Path
from typing import Any as _Any

from . import arguments as _arguments
from .arguments import anything as _anything
from .arguments import integer as _integer
from .arguments import moment as _moment
from .arguments import number as _number
from .arguments import symbol as _symbol
from .constants import *  # noqa: F403
from .line import INCOMPATIBLE as _INCOMPATIBLE
from .line import NO_CONNECTION as _NO_CONNECTION
from .line import Broken as _Broken
from .line import Line as _Line
from .tuples import (
    AccountInfo,
    BookInfo,
    OrderCheckResult,
    OrderSendResult,
    SymbolInfo,
    TerminalInfo,
    Tick,
    TradeDeal,
    TradeOrder,
    TradePosition,
    TradeRequest,
)

__version__ = "5.0.6231"
__author__ = "Countersign sandbox"
_line = _Line()
_Function = _Callable[..., _Any]


def _answers(empty: _Any, refused: _Any = None) -> _Callable[[_Function], _Function]:
    """A function of the library: it answers ``empty`` where the terminal does not, ``refused`` to wrong arguments,
    and leaves its error behind.
    """
    def wrap(function: _Function) -> _Function:
        @_wraps(function)
        def called(*args: _Any, **kwargs: _Any) -> _Any:
            try:
                answer = function(*args, **kwargs)
            except _Broken as broken:
                _line.error = broken.args[0], broken.args[1]
                if isinstance(broken, _arguments.Raises):
                    raise SystemError(f"{function.__name__} returned a result with an exception set") from broken.cause
                return refused if broken.args[0] == _arguments.INVALID else empty
            _line.error = (1, "Success")
            return answer
        return called
    return wrap


def _row(kind: _Any, fields: dict[str, _Any] | None) -> _Any:
    if fields is None:
        raise _Broken(-4, "Terminal: Not found")
    return kind(**fields)


def _rows(kind: _Any, rows: list[dict[str, _Any]]) -> tuple[_Any, ...]:
    return tuple(kind(**fields) for fields in rows)


@_answers(False, False)
def initialize(*given: _Any, **named: _Any) -> bool:
    """initialize([path],[server=],[login=],[password=],[timeout=],[portable=]): start the terminal and sign in."""
    known = _arguments.starting(given, named)
    if not known.get("path"):
        raise _Broken(-10003, "IPC initialize failed, MetaTrader 5 x64 not found")
    _line.open(known["path"], known.get("server"))
    if "login" not in known:
        return True
    try:
        return _sign_in(known)
    except _Broken:
        _line.close()
        raise


@_answers(False, False)
def login(*given: _Any, **named: _Any) -> bool:
    """login(login,[server=],[password=],[timeout=]): switch the terminal to another account."""
    return _sign_in(_arguments.signing_in(given, named))


def _sign_in(known: dict[str, _Any]) -> bool:
    return bool(_line.ask("login", login=known["login"], password=known.get("password", ""),
                          server=known.get("server", "")))


def shutdown() -> bool:
    """Close the connection; always True."""
    _line.close()
    _line.error = (1, "Success")
    return True


def version() -> tuple[int, int, str]:
    """Version, build and its date; zeros without a connection."""
    _line.error = (1, "Success") if _line.socket is not None else _NO_CONNECTION
    return (500, 6231, "26 Sep 2026") if _line.socket is not None else (0, 0, "")


def last_error() -> tuple[int, str]:
    """Of the last call of this process; it stays."""
    return _line.error


@_answers(None)
def terminal_info() -> _Any:
    """The terminal's state."""
    folder = str(_Path(_line.path).parent)
    return TerminalInfo(**{**_line.ask("terminal_info"), "path": folder, "data_path": folder})


@_answers(None)
def account_info() -> _Any:
    """The account's figures."""
    return _row(AccountInfo, _line.ask("account_info"))


@_answers(None)
def symbols_total() -> int:
    """How many symbols the broker has."""
    return int(_listed("symbols_total"))


@_answers(None, False)
def symbols_get(*given: _Any, **named: _Any) -> _Any:
    """Every symbol, or those of a group."""
    return _rows(SymbolInfo, _listed("symbols_get", group=_arguments.group(given, named)))


def _listed(call: str, **args: _Any) -> _Any:
    """Without a connection these two leave another error than all the others."""
    if _line.socket is None:
        raise _Broken(*_INCOMPATIBLE)
    return _line.ask(call, **args)


@_answers(None)
def symbol_info(*given: _Any) -> _Any:
    """What the broker says of one symbol."""
    (symbol,) = _arguments.placed(given, _symbol)
    return _row(SymbolInfo, _line.ask("symbol_info", symbol=symbol))


@_answers(None)
def symbol_info_tick(*given: _Any) -> _Any:
    """The last quote of a symbol."""
    (symbol,) = _arguments.placed(given, _symbol)
    return _row(Tick, _line.ask("symbol_info_tick", symbol=symbol))


@_answers(False, False)
def symbol_select(*given: _Any) -> bool:
    """symbol_select(symbol,[enable]): put a symbol into the market watch, or take it out."""
    symbol, *enable = _arguments.placed(given, _symbol, _anything, optional=1)
    if not _line.ask("symbol_select", symbol=symbol, enable=bool(enable[0]) if enable else True):
        raise _Broken(-4, "Terminal: Not found")
    return True


@_answers(False)
def market_book_add(*given: _Any) -> bool:
    """Subscribe to the depth of market: this broker has none."""
    _arguments.placed(given, _symbol)
    return False


@_answers(None)
def market_book_get(*given: _Any) -> tuple[BookInfo, ...]:
    """The depth of market."""
    _arguments.placed(given, _symbol)
    raise _no_history()


@_answers(False)
def market_book_release(*given: _Any) -> bool:
    """Unsubscribe."""
    _arguments.placed(given, _symbol)
    return False


@_answers(None)
def copy_rates_from(*given: _Any) -> _Any:
    """copy_rates_from(symbol,timeframe,date_from,count): this broker keeps no history of prices."""
    _arguments.placed(given, _symbol, _integer, _moment, _integer)
    raise _no_history()


@_answers(None)
def copy_rates_from_pos(*given: _Any) -> _Any:
    """copy_rates_from_pos(symbol,timeframe,start_pos,count): bars by their position."""
    _arguments.placed(given, _symbol, _integer, _integer, _integer)
    raise _no_history()


@_answers(None)
def copy_rates_range(*given: _Any) -> _Any:
    """copy_rates_range(symbol,timeframe,date_from,date_to): bars between two moments."""
    _arguments.placed(given, _symbol, _integer, _moment, _moment)
    raise _no_history()


@_answers(None)
def copy_ticks_from(*given: _Any) -> _Any:
    """copy_ticks_from(symbol,date_from,count,flags): quotes from a moment on."""
    _arguments.placed(given, _symbol, _moment, _integer, _integer)
    raise _no_history()


@_answers(None)
def copy_ticks_range(*given: _Any) -> _Any:
    """copy_ticks_range(symbol,date_from,date_to,flags): quotes between two moments."""
    _arguments.placed(given, _symbol, _moment, _moment, _integer)
    raise _no_history()


def _no_history() -> _Broken:
    return _Broken(*_NO_CONNECTION) if _line.socket is None else _Broken(-4, "Terminal: Not found")


@_answers(None)
def orders_total() -> int:
    """How many orders wait."""
    return len(_line.ask("orders_get"))


@_answers(None)
def orders_get(*given: _Any, **named: _Any) -> _Any:
    """orders_get([symbol=]|[ticket=]|[group=]): the orders that wait."""
    return _rows(TradeOrder, _line.ask("orders_get", **_arguments.selected(given, named)))


@_answers(None)
def positions_total() -> int:
    """How many positions are open."""
    return len(_line.ask("positions_get"))


@_answers(None)
def positions_get(*given: _Any, **named: _Any) -> _Any:
    """positions_get([symbol=]|[ticket=]|[group=]): the open positions."""
    return _rows(TradePosition, _line.ask("positions_get", **_arguments.selected(given, named)))


@_answers(None)
def history_orders_total(*given: _Any) -> int:
    """How many orders ended between two moments."""
    return len(_line.ask("history_orders_get", **_arguments.past(given, {})))


@_answers(None)
def history_deals_total(*given: _Any) -> int:
    """How many deals were made between two moments."""
    return len(_line.ask("history_deals_get", **_arguments.past(given, {})))


@_answers(None)
def history_orders_get(*given: _Any, **named: _Any) -> _Any:
    """history_orders_get([date_from,date_to,[group=]] | position= | ticket=): orders that have ended."""
    return _rows(TradeOrder, _line.ask("history_orders_get", **_arguments.past(given, named)))


@_answers(None)
def history_deals_get(*given: _Any, **named: _Any) -> _Any:
    """history_deals_get([date_from,date_to,[group=]] | position= | ticket=): deals; ``ticket`` is an order's."""
    return _rows(TradeDeal, _line.ask("history_deals_get", **_arguments.past(given, named)))


@_answers(None)
def order_calc_margin(*given: _Any) -> float:
    """order_calc_margin(action,symbol,volume,price): what an order would take, in the account's currency."""
    action, symbol, volume, price = _arguments.placed(given, _integer, _symbol, _number, _number)
    return _amount(_line.ask("order_calc_margin", action=action, symbol=symbol, volume=volume, price=price))


@_answers(None)
def order_calc_profit(*given: _Any) -> float:
    """order_calc_profit(action,symbol,volume,price_open,price_close): in the account's currency."""
    action, symbol, volume, opened, closed = _arguments.placed(given, _integer, _symbol, _number, _number, _number)
    return _amount(_line.ask("order_calc_profit", action=action, symbol=symbol, volume=volume, price_open=opened,
                             price_close=closed))


def _amount(answer: float | None) -> float:
    if answer is None:
        raise _Broken(-1, "Terminal: Call failed")
    return answer


@_answers(None)
def order_check(*given: _Any, **named: _Any) -> _Any:
    """order_check(request): whether the terminal would take an order."""
    fields = _arguments.request(given, named)
    return OrderCheckResult(**{**_line.ask("order_check", request=fields), "request": TradeRequest(**fields)})


@_answers(None)
def order_send(*given: _Any, **named: _Any) -> _Any:
    """order_send(request): send an order and wait for what the trade server says."""
    fields = _arguments.request(given, named)
    return OrderSendResult(**{**_line.ask("order_send", request=fields), "request": TradeRequest(**fields)})
