"""Why an order was not traded, or how it ended: each code in the words both doors use for it."""

WORDS = {
    "volume_below_minimum": "the volume would be below the broker's minimum",
    "unknown_symbol": "your broker does not have this symbol",
    "no_quote": "there is no price for this symbol now",
    "no_conversion_rate": "the result cannot be converted into your account's currency",
    "stop_beyond_price": "the price has already passed the stop",
    "target_passed": "the price has already passed a target",
    "price_moved": "the price has moved too far from the entry",
    "not_executed_in_time": "it could not be executed in time",
    "not_reached_in_time": "the price was not reached in time",
    "not_enough_money": "there is not enough free margin",
    "rejected_by_terminal": "the broker refused it",
    "unknown_account": "the terminal does not know the account",
    "no_account": "you have no account to trade on",
    "stop_loss": "stop loss",
    "take_profit": "take profit",
    "stop_out": "margin stop-out",
    "client": "by hand",
    "signal": "by the signal",
}
