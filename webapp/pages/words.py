"""Codes in the words of the person who reads them. An unknown code becomes a plain sentence, never itself."""

from services import reasons

STATUS = {"approved": "Approved", "rejected": "Rejected", "expired": "Expired", "withdrawn": "Withdrawn"}
DOOR = {"chat": "in the chat", "app": "in the app", "mandate": "by your mandate"}
ROUTE = {"device": "Expert Advisor", "terminal": "Terminal"}
PRACTICE = "Practice money"

# Why an order would not be sent if it were approved now.
OUTLOOK = {
    "no_account": "There is no account to trade on. Send /start to the bot to open a paper account.",
    "unknown_symbol": "Your broker does not have this symbol, so the order would be refused.",
    "no_quote": "There is no price for this symbol now.",
    "stop_beyond_price": "The price has already passed the stop, so the order would be refused.",
    "target_passed": "The price has already passed a target, so the order would be refused.",
    "price_moved": "The price has moved too far from the entry, so the order would be refused.",
    "no_conversion_rate": "The result cannot be converted into your account's currency, so the order would be refused.",
    "volume_below_minimum": "The volume would be below the broker's minimum, so the order would be refused.",
}

# Why an order was not carried out, or how it ended: the words of the chat, which tells the same orders.
REASON = reasons.WORDS


def reason(code: str | None, detail: str | None = None) -> str:
    """Why, to go after a colon."""
    if code == "rejected_by_terminal" and detail:
        return f"the broker refused it ({detail})"
    return REASON.get(code or "", "it could not be executed")


def sizing(stored: dict[str, str]) -> str:
    """How volumes are sized, in one phrase."""
    if stored["mode"] == "fixed":
        return f"Fixed {stored['volume']} lots"
    return f"{stored['value']} % of equity at the stop"
