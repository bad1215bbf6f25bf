"""The calls made of the MetaTrader5 package while no terminal is connected, as Python expressions."""

from collections.abc import Iterator

# What the expressions call by name.
NAMES = {
    "deal": "{'action': 1, 'symbol': 'EURUSD', 'volume': 0.1, 'type': 0, 'price': 1.1, 'sl': 1.0, 'tp': 1.2, "
            "'deviation': 20, 'magic': 7, 'comment': 'c', 'type_time': 0, 'type_filling': 1}",
    "naive": "datetime(2026, 1, 2)",
    "moment": "datetime(2026, 1, 2, tzinfo=timezone.utc)",
    "later": "datetime(2026, 2, 3, tzinfo=timezone.utc)",
    "nowhere": "'Z:\\\\nowhere\\\\terminal64.exe'",
}
WHOLE = ["-1", "0", "99", "True", "1.0", "'1'", "None", "2**31", "2**32", "2**63", "2**64-1", "2**64"]
REAL = ["1", "0", "True", "'1'", "None", "0.0", "-0.1", "float('nan')", "float('inf')"]
TEXT = ["''", "1", "None", "b'x'", "'x'*29", "'x'*30", "'x'*31", "'é'*29", "'é'*30"]
REQUEST = {
    "action": WHOLE, "magic": WHOLE, "order": WHOLE, "symbol": TEXT, "volume": REAL, "price": REAL, "stoplimit": REAL,
    "sl": REAL, "tp": REAL, "deviation": WHOLE, "type": WHOLE, "type_filling": WHOLE, "type_time": WHOLE,
    "expiration": [*WHOLE, "naive", "moment"], "comment": TEXT, "position": WHOLE, "position_by": WHOLE,
}
# In a process where nothing was called before, one after another.
FRESH = ["last_error()", "version()", "account_info()", "last_error()", "symbol_info(symbol='EURUSD')",
         "orders_get(group=1)", "last_error()", "shutdown()", "last_error()", "shutdown()"]


def groups() -> dict[str, list[str]]:
    """Calls by what they are about. Before each one ``shutdown()`` sets the last error to (1, 'Success')."""
    return {
        "state": ["shutdown()", "version()", "terminal_info()", "account_info()", "last_error()", "shutdown(1)",
                  "version(1)", "last_error(1)", "account_info(1)", "terminal_info(1)"],
        "initialize": list(_initialize()), "login": list(_login()), "symbols": list(_symbols()),
        "lists": list(_lists()), "history": list(_history()), "prices": list(_prices()),
        "calculations": list(_calculations()), "requests": list(_requests()), "tuples": list(_tuples()),
    }


def _initialize() -> Iterator[str]:
    yield from ("initialize()", "initialize('')", "initialize(1)", "initialize(None)", "initialize(path=None)",
                "initialize('x'*257)", "initialize('x'*258)", "initialize(path='x'*258)", "initialize(nowhere)",
                "initialize(nowhere, password='x'*253)", "initialize(nowhere, password='x'*254)",
                "initialize(nowhere, server='x'*253)", "initialize(nowhere, server='x'*254)",
                "initialize(1, login='1')", "initialize(nowhere, 1, login='1')",
                "initialize(path=nowhere)", "initialize(nowhere, 1)",
                "initialize(nowhere, login=1, password='p', server='s', timeout=1000, portable=True)",
                "initialize(nowhere, unknown=1)")
    for name, values in {"login": WHOLE, "timeout": WHOLE, "password": TEXT, "server": TEXT,
                         "portable": ["1", "'yes'", "None"]}.items():
        yield from (f"initialize(nowhere, {name}={value})" for value in values)


def _login() -> Iterator[str]:
    yield from ("login()", "login(login=1)", "login(1, 'p', 's')", "login(1, password='p', server='s')",
                "login(1, unknown=1)", "login(1, 2)", "login(1, 'p', 3)", "login(1, 'p', 's', 4)", "login('1', 2)",
                "login(1, 2, login='1')", "login('1', password=1)", "login(password=1)", "login(1, 'x'*254)",
                "login(1, password='x'*253)", "login(1, password='x'*254)", "login(1, server='x'*254)")
    yield from (f"login({value})" for value in WHOLE)
    for name, values in {"login": WHOLE, "timeout": WHOLE, "password": TEXT, "server": TEXT}.items():
        first = "" if name == "login" else "1, "
        yield from (f"login({first}{name}={value})" for value in values)


def _symbols() -> Iterator[str]:
    for name in ("symbol_info", "symbol_info_tick", "symbol_select", "market_book_add", "market_book_get",
                 "market_book_release"):
        yield from (f"{name}()", f"{name}('EURUSD')", f"{name}(symbol='EURUSD')", f"{name}('EURUSD', 1, 2)")
        yield from (f"{name}({value})" for value in TEXT)
    yield from (f"symbol_select('EURUSD', {value})" for value in ("True", "False", "1", "None", "'x'"))
    yield from ("symbols_total()", "symbols_total(1)", "symbols_get()", "symbols_get('*')", "symbols_get(1)",
                "symbols_get(1, 2)", "symbols_get(group='*')", "symbols_get(group=1)", "symbols_get('*', group=1)",
                "symbols_get(group='x'*1997)", "symbols_get(group='x'*1998)", "symbols_get(unknown=1)")


def _lists() -> Iterator[str]:
    for name in ("orders", "positions"):
        yield from (f"{name}_total()", f"{name}_total(1)", f"{name}_get()", f"{name}_get('EURUSD')",
                    f"{name}_get(symbol='EURUSD', ticket=1)", f"{name}_get(unknown=1)",
                    f"{name}_get(group='x'*1997)", f"{name}_get(group='x'*1998)",
                    # Of several ways to choose the library looks at one.
                    f"{name}_get(symbol=1, group=1, ticket='1')", f"{name}_get(symbol=1, ticket=1)",
                    f"{name}_get(symbol=1, group=1)", f"{name}_get(symbol='x', group=1)",
                    f"{name}_get(symbol=1, group='*')")
        for key, values in {"symbol": TEXT, "group": TEXT, "ticket": WHOLE}.items():
            yield from (f"{name}_get({key}={value})" for value in values)


def _history() -> Iterator[str]:
    spans = ["", "1", "1, 2", "2, 1", "-1, 2", "1.5, 2.5", "'1', '2'", "None, None", "naive, naive", "moment, later",
             "2**31-1, 2**31-1", "2**31, 2**31", "2.0**31, 2.0**31", "-2**31-1, 1", "'1', 2**31",
             "2**31, '1'", "moment, datetime(2040, 1, 1, tzinfo=timezone.utc)", "1, 2, 3", "1, 2, '*'",
             "date_from=1, date_to=2"]
    for kind in ("orders", "deals"):
        for name in (f"history_{kind}_get", f"history_{kind}_total"):
            yield from (f"{name}({span})" for span in spans)
            yield f"{name}(1, 2, group='*')"
        name = f"history_{kind}_get"
        yield from (f"{name}(1, 2, group=1)", f"{name}(1, 2, position=1)", f"{name}(1, 2, unknown=1)",
                    f"{name}(unknown=1)", f"{name}(2**31, 1, group=1)", f"{name}(1, 2, group=1, ticket='1')",
                    f"{name}(1, 2, ticket='1')", f"{name}(1, 2, position='1')", f"{name}(group='*')",
                    f"{name}(group=1, ticket='1')", f"{name}(group=1, ticket=1)", f"{name}(position='1', ticket=1)",
                    f"{name}(position=1, ticket='1')", f"{name}(1, ticket=1)", f"{name}(1, 2, group='x'*1998)")
        yield from (f"{name}({key}={value})" for key in ("ticket", "position") for value in WHOLE)


def _prices() -> Iterator[str]:
    for name, rest in (("copy_rates_from", ["1", "moment", "10"]), ("copy_rates_from_pos", ["1", "0", "10"]),
                       ("copy_rates_range", ["1", "moment", "later"]), ("copy_ticks_from", ["moment", "10", "-1"]),
                       ("copy_ticks_range", ["moment", "later", "-1"])):
        whole = ["'EURUSD'", *rest]
        yield from (f"{name}()", f"{name}({', '.join(whole)})", f"{name}({', '.join(whole[:-1])})")
        for place in range(len(whole)):
            for value in ("'x'*30", "1.0", "None", "-1"):
                yield f"{name}({', '.join([*whole[:place], value, *whole[place + 1:]])})"


def _calculations() -> Iterator[str]:
    for name, whole in (("order_calc_margin", ["0", "'EURUSD'", "0.1", "1.1"]),
                        ("order_calc_profit", ["0", "'EURUSD'", "0.1", "1.1", "1.2"])):
        yield from (f"{name}()", f"{name}({', '.join(whole)})", f"{name}({', '.join(whole[:-1])})",
                    f"{name}({', '.join(whole)}, 1)", f"{name}(action=0)")
        for place in range(len(whole)):
            values = TEXT if place == 1 else ["1", "-1", "99", "2**31", "2**32", "0.0", "'1'", "None",
                                                        "float('nan')"]
            yield from (f"{name}({', '.join([*whole[:place], value, *whole[place + 1:]])})" for value in values)


def _requests() -> Iterator[str]:
    for name in ("order_check", "order_send"):
        yield from (f"{name}()", f"{name}(deal)", f"{name}({{}})", f"{name}({{1: 2}})", f"{name}(None)", f"{name}([])",
                    f"{name}(1)", f"{name}(deal, deal)", f"{name}(request=deal)", f"{name}(**deal)",
                    # What is given by name is the request itself; even no names at all are too many beside one.
                    f"{name}(request=deal | {{'volume': 1}})", f"{name}(**deal | {{'volume': 1}})",
                    f"{name}(deal, volume=1)", f"{name}(None, volume=1.0)", f"{name}(deal, **{{}})",
                    f"{name}(deal | {{'unknown': 1}})",
                    # Of several faults the first in the order of TradeRequest's fields is named.
                    f"{name}(deal | {{'comment': 1, 'volume': 1, 'magic': 'x'}})",
                    f"{name}({{'tp': 1, 'sl': 1, 'price': 1}})")
        for key, values in REQUEST.items():
            yield from (f"{name}(deal | {{'{key}': {value}}})" for value in values)


def _tuples() -> Iterator[str]:
    yield from ("repr(Tick(range(8)))", "Tick(range(8))._asdict()", "Tick(range(8)) == tuple(range(8))",
                "Tick(range(8)).bid", "Tick(range(7))", "Tick(range(9))")
