"""What went wrong, in our words: the library's last_error and the trade server's retcodes."""

from typing import Any

from terminal.protocol import GatewayError, ResultStatus, TradeResult

FAIL, INVALID_PARAMS, NOT_FOUND, INVALID_VERSION = -1, -2, -4, -5
AUTH_FAILED, UNSUPPORTED, AUTO_TRADING_DISABLED = -6, -7, -8
INTERNAL, SEND, RECEIVE, INIT, CONNECT, TIMEOUT = -10000, -10001, -10002, -10003, -10004, -10005
LINE_IS_GONE = frozenset({INTERNAL, SEND, RECEIVE, CONNECT})
"""The terminal has gone, and only a new sign-in brings it back."""

REQUOTE, DONE, ORDER_PLACED, DONE_PARTIAL, PRICE_CHANGED, PRICE_OFF, INVALID_PRICE = (
    10004, 10009, 10008, 10010, 10020, 10021, 10015)
INVALID, INVALID_VOLUME, INVALID_STOPS, TRADE_DISABLED, NO_MONEY, INVALID_EXPIRATION = (
    10013, 10014, 10016, 10017, 10019, 10022)
NO_CHANGES, SERVER_DISABLES, CLIENT_DISABLES, FROZEN, INVALID_FILL = 10025, 10026, 10027, 10029, 10030
LIMIT_ORDERS, LIMIT_VOLUME, INVALID_ORDER, POSITION_CLOSED, INVALID_CLOSE_VOLUME = 10033, 10034, 10035, 10036, 10038
ONLY_LONG, ONLY_SHORT, ONLY_CLOSE = 10042, 10043, 10044

FILLED_CODES = frozenset({DONE, DONE_PARTIAL})
TAKEN = FILLED_CODES | {ORDER_PLACED}
NEW_PRICE = frozenset({REQUOTE, PRICE_CHANGED, PRICE_OFF})
WAIT_AND_RETRY = frozenset({10023, 10024, 10028, FROZEN, 10041})
AMBIGUOUS = frozenset({10011, 10012, 10031})

SAYS = {
    REQUOTE: "The price moved before the broker could fill the order.",
    10006: "The broker rejected the order.",
    10007: "The order was cancelled at the broker.",
    10011: "The broker could not say what became of the order.",
    10012: "The broker did not answer in time.",
    INVALID: "The broker does not understand this order.",
    INVALID_VOLUME: "The broker does not accept this volume.",
    INVALID_PRICE: "The broker does not accept this price.",
    INVALID_STOPS: "The stop or target is too close to the price or on the wrong side of it.",
    TRADE_DISABLED: "Trading is switched off for this account.",
    10018: "The market is closed.",
    NO_MONEY: "There is not enough free margin.",
    PRICE_CHANGED: "The price moved before the broker could fill the order.",
    PRICE_OFF: "There is no price for this symbol now.",
    INVALID_EXPIRATION: "The broker does not accept the order's time of expiry.",
    10023: "The order has changed meanwhile.",
    10024: "The broker received too many requests.",
    NO_CHANGES: "Nothing was to be changed.",
    SERVER_DISABLES: "The broker does not allow automated trading on this account.",
    CLIENT_DISABLES: "Automated trading is switched off in the terminal.",
    10028: "The order is locked while it is being processed.",
    FROZEN: "The price is too close for a change now.",
    INVALID_FILL: "The broker does not accept any filling mode for this symbol.",
    10031: "The terminal has no connection to the broker.",
    10032: "This is possible on real accounts only.",
    LIMIT_ORDERS: "The broker allows no more waiting orders on this account.",
    LIMIT_VOLUME: "The broker allows no more volume in this symbol.",
    INVALID_ORDER: "The order is not valid any more.",
    POSITION_CLOSED: "The position is closed.",
    INVALID_CLOSE_VOLUME: "This volume cannot be closed.",
    10039: "The position is being closed already.",
    10040: "The broker allows no more open positions on this account.",
    ONLY_LONG: "Only buying is allowed in this symbol.",
    ONLY_SHORT: "Only selling is allowed in this symbol.",
    ONLY_CLOSE: "Only closing is allowed in this symbol.",
    10045: "The broker demands that the oldest position is closed first.",
}


def says(retcode: int) -> str:
    """A retcode in words for people."""
    return SAYS.get(retcode, f"The broker refused it (code {retcode}).")


def refused(retcode: int, reason: str | None = None, error: str | None = None) -> TradeResult:
    """A definite refusal: nothing was done. ``reason`` names a check of our own."""
    return TradeResult(ResultStatus.REJECTED, retcode, None, None, None, error or says(retcode), reason)


def of_call(code: int, text: str) -> GatewayError:
    """The error behind a call that gave nothing."""
    if code == AUTO_TRADING_DISABLED:
        return GatewayError("trading_disabled", "Automated trading is switched off in the terminal.", permanent=True)
    if code in (AUTH_FAILED, UNSUPPORTED):
        return of_sign_in(code, text)
    if code in LINE_IS_GONE or (code == INVALID_VERSION and text.startswith("Terminal: Incompatible")):
        return GatewayError("terminal_lost", f"The terminal is gone: {text} ({code}).", retryable=True)
    if code == TIMEOUT:
        return GatewayError("terminal_hangs", f"The terminal does not answer: {text} ({code}).", retryable=True)
    if code == INVALID_PARAMS:
        return GatewayError("invalid_request", f"The terminal does not take the call: {text}.")
    return GatewayError("terminal_away", f"The terminal could not answer: {text} ({code}).", retryable=True)


def of_sign_in(code: int, text: str) -> GatewayError:
    """The error behind a sign-in that failed."""
    if "OTP" in text or "certificate" in text:
        return GatewayError("otp_required", "The account asks for a one-time password or a certificate.",
                            permanent=True)
    if code == AUTH_FAILED:
        return GatewayError("wrong_password", "The broker does not accept this login and password.", permanent=True)
    if code == INVALID_PARAMS and not text.startswith("Terminal"):
        return GatewayError("invalid_request", f"The terminal does not take the sign-in: {text}.", permanent=True)
    if code in (INVALID_PARAMS, NOT_FOUND):
        return GatewayError("broker_unknown", "The terminal does not know this server.", permanent=True)
    if code in (UNSUPPORTED, INVALID_VERSION):
        return GatewayError("terminal_missing", f"This terminal cannot be used: {text}.", permanent=True)
    if code == INIT and ("Process create failed" in text or "not found" in text):
        return GatewayError("terminal_missing", "There is no terminal at this place.", permanent=True)
    if code == AUTO_TRADING_DISABLED:
        return of_call(code, text)
    if code == INIT:
        return GatewayError("terminal_hangs", f"The terminal does not start: {text}.", retryable=True)
    return GatewayError("terminal_away", f"The broker cannot be reached: {text} ({code}).", retryable=True)


def as_ambiguous(error: GatewayError) -> GatewayError:
    """The same error after something was sent that may have been done."""
    return GatewayError(error.code, error.detail, retryable=error.retryable, ambiguous=True)


def plain(error: GatewayError) -> dict[str, Any]:
    """An error as a frame has it."""
    return {"code": error.code, "detail": error.detail, "retryable": error.retryable, "ambiguous": error.ambiguous,
            "permanent": error.permanent}
