"""Codes in the words of the person who reads them. An unknown code becomes a plain sentence, never itself."""

from models.account import Account, AccountStatus, Route
from services import reasons

STATUS = {"approved": "Approved", "rejected": "Rejected", "expired": "Expired", "withdrawn": "Withdrawn"}
DOOR = {"chat": "in the chat", "app": "in the app", "mandate": "by your mandate"}
ROUTE = {"device": "Expert Advisor", "terminal": "Terminal"}
PRACTICE = "Practice money"

# Why an order would not be sent if it were approved now.
OUTLOOK = {
    "no_account": "There is no account to trade on. Send /start to the bot to open a paper account.",
    "unknown_symbol": "Your broker does not have this symbol, so the order would be refused.",
    "symbol_ambiguous": "More than one of your broker's symbols could be meant. Choose one under Accounts.",
    "symbol_unconfirmed": "Your broker's symbol has another contract size. Confirm it under Accounts.",
    "view_only": "This account may only be watched, so the order would be refused.",
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


# What the owner of a broken link can do about it, by why it is broken.
MEND = {
    "wrong_password": "Link it again with the new password.",
    "otp_required": "Switch the one-time codes off at your broker, or link it by the EA.",
    "broker_unknown": "Check the server's name in MetaTrader, then link it again.",
    "device_revoked": "Register a device and link it again.",
    "device_unbound": "Link it again by the device that runs on it.",
    "claimed_by_password": "If it is yours, link it with that password.",
    "wrong_account": "Sign the terminal in to this account again.",
    "password_unreadable": "Link it again with its password.",
}


def trouble(account: Account) -> str | None:
    """Why an account needs attention and what to do about it; None when it is sound."""
    if account.status == AccountStatus.BROKEN:
        why = REASON.get(account.trouble or "", "the broker no longer lets the desk in")
        return f"{why[0].upper()}{why[1:]}. {MEND.get(account.trouble or '', 'Link it again.')}"
    if account.status == AccountStatus.PENDING:
        return "This account has not been verified yet."
    return None


def silent(account: Account) -> str:
    """Why there are no figures of an account."""
    if account.route == Route.DEVICE:
        return "Its device has reported nothing yet. Start the terminal with the EA on a chart."
    return trouble(account) or "Its terminal does not answer right now."
