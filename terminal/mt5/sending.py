"""Handing one request to the trade server: the filling mode, what a retcode means, and when to try once more."""

import time
from collections.abc import Callable
from typing import Any

from terminal.mt5 import codes, faults
from terminal.mt5.library import CallFailed
from terminal.mt5.session import Session
from terminal.protocol import GatewayError

PAUSES = (0.25, 0.5, 1.0)
BUSY_PAUSE = 1.0
MOST_TRIES = 6

Fields = dict[str, Any]


def fillings(row: Any, *, pending: bool) -> list[int]:
    """Filling modes worth trying for a symbol, the likeliest first: the broker's mask says what it takes."""
    offered = [kind for kind, bit in ((codes.FOK, codes.MAY_FOK), (codes.IOC, codes.MAY_IOC))
               if row.filling_mode & bit]
    if pending:
        first = [codes.RETURN, *offered]
    elif row.trade_exemode in (codes.BY_REQUEST, codes.BY_INSTANT):
        first = [codes.FOK, codes.IOC]
    elif row.trade_exemode == codes.BY_EXCHANGE:
        first = [*offered, codes.RETURN]
    else:
        first = offered
    return first + [kind for kind in (codes.FOK, codes.IOC, codes.RETURN) if kind not in first]


def check(session: Session, fields: Fields, kinds: list[int]) -> int:
    """What the terminal says before anything is sent: 0 for yes; settles which filling it takes."""
    retcode = 0
    for kind in list(kinds[:2]):
        fields["type_filling"] = kind
        retcode = int(session.library.ask("order_check", fields).retcode)
        if retcode != faults.INVALID_FILL:
            break
        kinds.remove(kind)
    return 0 if retcode in faults.FILLED_CODES else retcode


def send(session: Session, fields: Fields, kinds: list[int], refresh: Callable[[], None]) -> Any:
    """The trade server's last word on a request: a result, never one that leaves open what was done.

    Only definite refusals are tried again: a moved price with a new one (``refresh``, which may give up), another
    filling once, a busy server a little later. GatewayError, ambiguous, when nobody can say whether it was done.
    """
    pauses, others, wrong_price = list(PAUSES), kinds[:2], 0
    for _ in range(MOST_TRIES):
        fields["type_filling"] = others[0]
        result = _send_once(session, fields)
        if result.retcode in faults.AMBIGUOUS:
            raise GatewayError("terminal_away", faults.says(result.retcode), retryable=True, ambiguous=True)
        if result.retcode == faults.INVALID_FILL and len(others) > 1:
            others.pop(0)
        elif result.retcode == faults.INVALID_PRICE and wrong_price == 0 and "price" in fields:
            wrong_price += 1
            refresh()
        elif result.retcode in faults.NEW_PRICE and pauses:
            time.sleep(pauses.pop(0))
            refresh()
        elif result.retcode in faults.WAIT_AND_RETRY and pauses:
            pauses.pop(0)
            time.sleep(BUSY_PAUSE)
            refresh()
        else:
            return result
    return result


def _send_once(session: Session, fields: Fields) -> Any:
    try:
        result = session.library.ask("order_send", fields)
    except CallFailed as failed:
        error = failed.as_error()
        if failed.code in (faults.INVALID_PARAMS, faults.AUTO_TRADING_DISABLED):
            raise error from None  # it never left the terminal
        session.handed_over += 1
        raise faults.as_ambiguous(error) from None
    if result.retcode in faults.TAKEN or result.retcode in faults.AMBIGUOUS:
        session.handed_over += 1
    return result
