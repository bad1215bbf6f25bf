"""Receipts as a timeline: what was paid, when it was confirmed, and what it opened or took away."""

from dataclasses import dataclass
from datetime import datetime

from models.billing import LedgerKind
from services.currencies import written
from services.receipts import Receipt
from services.tiers import title
from webapp.pages.plans import STARS, date

# kind: (what happened, what happened to this amount)
WORDS = {
    LedgerKind.CHARGE: ("Payment", "{amount} paid"),
    LedgerKind.REFUND: ("Refund", "{amount} sent back to you"),
    LedgerKind.REFUND_REVERSAL: ("Refund failed", "{amount} came back from your bank"),
    LedgerKind.DISPUTE: ("Disputed", "{amount} taken back by your bank"),
    LedgerKind.DISPUTE_REVERSAL: ("Dispute closed", "{amount} returned to the desk"),
}
PROVIDERS = {"stripe": "Stripe", STARS: "Telegram"}
REASONS = {"refund": "the payment was refunded", "dispute": "the payment is disputed"}


@dataclass(frozen=True, slots=True)
class Timeline:
    """One movement. ``tone`` is gain, warn or even, and colours the last step."""

    id: int
    what: str
    amount: str
    paid: str
    paid_at: datetime
    heard: str
    heard_at: datetime
    outcome: str
    mark: str
    tone: str


def timeline(of: Receipt, now: datetime) -> Timeline:
    """A receipt in the words of the page."""
    what, moved = WORDS[of.kind]
    amount = written(of.money.amount_minor, of.money.currency)
    outcome, mark, tone = _outcome(of, now)
    provider = PROVIDERS.get(of.provider, of.provider)
    return Timeline(of.id, what, amount, moved.format(amount=amount), of.paid_at, f"Confirmed by {provider}",
                    of.heard_at, outcome, mark, tone)


def _outcome(of: Receipt, now: datetime) -> tuple[str, str, str]:
    """What became of the plan, the same in two words, and its colour."""
    if of.tier is None or of.until is None:
        if of.kind == LedgerKind.CHARGE:
            return "Your plan is being updated", "Under way", "warn"
        return "No plan changes by it", "", "even"
    plan = title(of.tier)
    if of.revoked_at is not None:
        why = REASONS.get(of.reason or "", "it was taken back")
        return f"{plan} closed {date(of.revoked_at, now)}: {why}", f"{plan} closed", "warn"
    if of.until <= now:
        return f"{plan} was open until {date(of.until, now)}", f"{plan} ended", "even"
    return f"{plan} open until {date(of.until, now)}", f"{plan} until {date(of.until, now)}", "gain"
