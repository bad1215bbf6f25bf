"""What the doctor of devices says: for each code and each way it can turn out a state, one sentence, and what helps."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """From best to worst, but for what nobody can tell."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Says:
    """``detail`` and ``fix`` may name figures in braces; an empty ``fix`` is none needed."""

    state: State
    detail: str
    fix: str = ""


OK, UNKNOWN, WARN, BAD = State.OK, State.UNKNOWN, State.WARN, State.BAD
_ASK = "Attach the newest Expert Advisor to a chart of this terminal."

TITLES = {
    "device": "Device", "account": "Account", "snapshot": "Account report", "terminal": "Terminal",
    "version": "Version", "algo_trading": "Algo Trading", "expert": "Expert Advisor", "trading": "Trading rights",
    "connection": "Connection", "clock": "Server clock", "margin_mode": "Positions", "symbol_list": "Symbol list",
    "symbols": "Symbols of signals", "closed_symbols": "Open for trading", "filling": "Filling modes",
    "stops_level": "Distance of stops", "least_volume": "Least volume", "tick_values": "Tick values",
}

WORDS: dict[str, dict[str, Says]] = {
    "device": {
        "heard": Says(OK, "It was heard a moment ago."),
        "quiet": Says(BAD, "It has not been heard since {at} UTC.",
                      "See that its terminal runs, is online and has the Expert Advisor on a chart."),
        "never": Says(BAD, "It has never been heard.", "Give it its code or its secret, and allow this desk's address "
                      "in the terminal's options, under Expert Advisors, WebRequest."),
        "revoked": Says(BAD, "It is revoked and shut out for good.", "Register a new device."),
    },
    "account": {
        "linked": Says(OK, "It stands at the account that is linked to it."),
        "none": Says(BAD, "No account is linked to it, so it gets no orders.", "Link the account that it reports."),
        "elsewhere": Says(BAD, "Its terminal is signed in to {login} at {server}, not to the account it serves.",
                          "Sign in to {own_login} at {own_server}, or link the other account."),
        "broken": Says(BAD, "The account's link does not work: {reason}.", "Link the account again."),
        "other_route": Says(WARN, "The account it serves is reached another way, so it gets no orders.",
                            "Link the account by this device if it is to trade."),
    },
    "snapshot": {
        "fresh": Says(OK, "The account was reported a moment ago."),
        "old": Says(WARN, "The account was last reported at {at} UTC.", "Look into the terminal's Experts log."),
        "none": Says(BAD, "It has not reported its account yet.", "Look into the terminal's Experts log."),
    },
    "terminal": {
        "told": Says(OK, "Build {build}, told at {at} UTC."),
        "silent": Says(UNKNOWN, "It does not tell how its terminal stands. Orders are sized by what is usual.", _ASK),
    },
    "version": {
        "new": Says(OK, "Version {version}."),
        "old": Says(WARN, "Version {version} is older than {needed}.", "Install the newest Expert Advisor."),
        "unknown": Says(UNKNOWN, "It does not tell its version.", _ASK),
    },
    "algo_trading": {
        "on": Says(OK, "The Algo Trading button is on."),
        "off": Says(BAD, "The Algo Trading button is off, so nothing is traded.", "Press Algo Trading in the toolbar."),
        "unknown": Says(UNKNOWN, "Nobody has told whether the Algo Trading button is on.", _ASK),
    },
    "expert": {
        "on": Says(OK, "The Expert Advisor may trade."),
        "off": Says(BAD, "The Expert Advisor may not trade.",
                    "Open its properties on the chart and tick Allow Algo Trading."),
        "unknown": Says(UNKNOWN, "Nobody has told whether the Expert Advisor may trade.", _ASK),
    },
    "trading": {
        "on": Says(OK, "The account may trade."),
        "off": Says(BAD, "The account may only be watched.", "Sign in with the password that trades, not the "
                    "investor's, or ask the broker why trading is switched off."),
        "unknown": Says(UNKNOWN, "Nobody has told whether the account may trade.", _ASK),
    },
    "connection": {
        "good": Says(OK, "Connected to the trade server{ping}."),
        "slow": Says(WARN, "Connected, but the trade server takes {ping} ms to answer.",
                     "A machine nearer to the broker helps."),
        "lost": Says(BAD, "The terminal is not connected to its trade server.", "See whether it is online."),
        "unknown": Says(UNKNOWN, "Nobody has told whether the terminal is connected.", _ASK),
    },
    "clock": {
        "whole": Says(OK, "The trade server's clock is at UTC{offset}."),
        "odd": Says(WARN, "The trade server's clock seems to be at UTC{offset}, which no time zone is.",
                    "Set the clock of the terminal's machine. Orders are not affected."),
        "unknown": Says(UNKNOWN, "Nobody has told how the trade server's clock stands.", _ASK),
    },
    "margin_mode": {
        "hedging": Says(OK, "A hedging account: a signal with several targets is a position for each."),
        "netting": Says(WARN, "A netting account holds one position a symbol, with one target.",
                        "For signals with several targets use a hedging account."),
        "unknown": Says(UNKNOWN, "It is not known yet whether the account is a hedging one."),
    },
    "symbol_list": {
        "whole": Says(OK, "{count} symbols of the broker are known."),
        "cut": Says(WARN, "The broker has more symbols than the {count} that are kept.",
                    "Hide those you do not trade in Market Watch."),
        "partly": Says(WARN, "The broker's symbols have not been told to the end.", "They are asked for with the next "
                       "order; attaching the Expert Advisor again tells them too."),
        "none": Says(UNKNOWN, "The broker's symbols are not known. Orders are sized by what is usual.", _ASK),
    },
    "symbols": {
        "found": Says(OK, "Each of them was found at the broker."),
        "some": Says(WARN, "Not found for certain: {symbols}.", "Choose them in the account's symbols, if you want "
                     "signals of them traded."),
        "needed": Says(BAD, "Signals you get are of these, and they were not found for certain: {symbols}.",
                       "Choose them in the account's symbols."),
        "unknown": Says(UNKNOWN, "They are looked for when the broker's symbols are known."),
    },
    "closed_symbols": {
        "open": Says(OK, "All that were found may be traded in both directions."),
        "some": Says(WARN, "Closed or open one way only: {symbols}.", "Ask the broker, or choose another symbol."),
        "unknown": Says(UNKNOWN, "It is known when the broker's symbols are."),
    },
    "filling": {
        "good": Says(OK, "The broker fills all of them in a way that the desk knows."),
        "none": Says(BAD, "The broker names no way of filling for: {symbols}.", "Choose another symbol of the broker."),
        "unknown": Says(UNKNOWN, "It is known when the broker's symbols are."),
    },
    "stops_level": {
        "free": Says(OK, "Stops and targets may be as close as you like."),
        "kept": Says(OK, "Stops and targets have to keep a distance, in points: {symbols}."),
        "unknown": Says(UNKNOWN, "It is known when the broker's symbols are."),
    },
    "least_volume": {
        "enough": Says(OK, "Your volumes are above the broker's least."),
        "fixed": Says(BAD, "Your fixed {volume} lots are below the broker's least for: {symbols}.",
                      "Choose a larger volume in the account's sizing."),
        "small": Says(WARN, "With {risk} % of {equity} {currency} the least volume is too large for usual stops of: "
                      "{symbols}.", "Such orders are refused. A larger share of equity or a smaller contract helps."),
        "unknown": Says(UNKNOWN, "It is known when the broker's symbols and the account are."),
    },
    "tick_values": {
        "told": Says(OK, "What a tick is worth is known wherever there is a price."),
        "missing": Says(WARN, "There is a price, but not what a tick is worth, for: {symbols}.",
                        "Orders of them are refused where the volume follows from the risk; choose a fixed volume."),
        "unknown": Says(UNKNOWN, "It is known when the broker's symbols are."),
    },
}

# What a line of the symbols says, by its state.
SYMBOL_WORDS = {
    "found": "Found by its name.",
    "alias": "Found by another name of the same thing.",
    "edited": "Chosen by you.",
    "ambiguous": "More than one of the broker's symbols could be meant.",
    "unconfirmed": "The broker's symbol has another contract size; confirm it.",
    "missing": "The broker has nothing that fits.",
    "closed": "Found, but it cannot be traded in both directions.",
    "unknown": "Not looked for yet: the broker's symbols are not known.",
}
