"""Where a user's plan stands, in words: the status, the price, and what the page must warn of."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from models.billing import Subscription
from models.grant import Grant
from services.tiers import Catalogue, Tier
from webapp.pages import format

# Digits after the point of an amount at its provider, by currency; two for every other.
_NO_DIGITS = {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF",
              "XTR"}
_THREE_DIGITS = {"BHD", "JOD", "KWD", "OMR", "TND"}
# These have no minor unit in use, though their amounts are told with two digits.
_ONLY_WHOLE = {"ISK", "UGX"}


@dataclass(frozen=True, slots=True)
class Seller:
    """Who takes the money here; ``trial_days`` is 0 for a user who has had their trial."""

    provider: str
    trial_days: int


@dataclass(frozen=True, slots=True)
class Known:
    """What a page is written from. ``cover`` is the grant of the tier in force that ends last, ``paid_rank`` what
    the subscription has paid for, ``seller`` None where nothing can be bought."""

    catalogue: Catalogue
    tier: Tier
    row: Subscription | None
    cover: Grant | None
    paid_rank: int
    accounts: int
    is_customer: bool
    seller: Seller | None
    now: datetime

    @property
    def row_tier(self) -> Tier | None:
        """The plan the subscription is for."""
        return self.catalogue.named(self.row.tier) if self.row else None

    @property
    def is_sold_here(self) -> bool:
        """Whether the subscription can be changed here."""
        return self.row is not None and self.seller is not None and self.row.provider == self.seller.provider


@dataclass(frozen=True, slots=True)
class Standing:
    """``tone`` is gain, warn or even."""

    words: str
    tone: str


def standing(known: Known) -> Standing:
    """The status in words, with the date that matters next."""
    row, tier = known.row, known.tier
    if row is None:
        return Standing(f"Active until {_cover(known)}", "gain") if tier.rank else Standing("Free, no payments", "even")
    match row.status:
        case "past_due" | "unpaid" | "paused":
            return _failed(known)
        case "incomplete":
            return Standing("Payment not finished", "warn")
        case "trialing":
            return Standing(f"Trial until {date(row.trial_end or row.current_period_end, known.now)}", "gain")
    end = date(row.current_period_end, known.now)
    if row.cancel_at_period_end:
        return Standing(f"Ends {end}", "warn")
    paid_for = known.row_tier
    if paid_for is not None and paid_for.rank > tier.rank:
        return Standing("Payment under way", "warn")
    if paid_for is not None and paid_for.rank < tier.rank:
        own = known.cover is not None and known.cover.subscription_id == row.provider_subscription_id
        return Standing(f"Until {end if own else _cover(known)}, then {name(paid_for)}", "gain")
    return Standing(f"Active, renews {end}", "gain")


def _failed(known: Known) -> Standing:
    access = f"access until {_cover(known)}" if known.tier.rank else "access has ended"
    return Standing(f"Payment failed, {access}", "warn")


def _cover(known: Known) -> str:
    return date(known.cover.ends_at if known.cover else None, known.now)


def warning(known: Known) -> str | None:
    """What cannot wait."""
    if known.row is None or known.row.status not in ("past_due", "unpaid", "paused", "incomplete"):
        return None
    if known.row.status == "incomplete":
        return "Your payment needs one more step. Finish it, or choose a plan again."
    if known.tier.rank == 0:
        return "The last payment failed and your plan has ended. Settle it to get the plan back."
    return f"The last payment failed. You keep {name(known.tier)} until {_cover(known)}; settle it before then."


def price(known: Known) -> str | None:
    """What the subscription costs; None where nothing is paid, or nothing more for this plan."""
    row, paid_for = known.row, known.row_tier
    if row is None:
        return None
    told = f"{money(row.amount_minor, row.currency)} a month"
    if paid_for is not None and paid_for.rank < known.tier.rank:
        return None if row.cancel_at_period_end else f"then {told}"
    return told


def is_bought(known: Known) -> bool:
    """Whether a subscription is there and gives what it is for: what one waits for after paying."""
    paid_for = known.row_tier
    return (known.row is not None and known.row.status in ("active", "trialing", "past_due")
            and paid_for is not None and 0 < paid_for.rank <= known.tier.rank)


def name(tier: Tier) -> str:
    """The tier as people call it."""
    return "VIP" if tier.name == "vip" else tier.name.capitalize()


def date(at: datetime | None, now: datetime) -> str:
    """A day, with its year when that is another one."""
    if at is None:
        return "soon"
    return f"{at.day}\u00a0{at:%b}" + (f"\u00a0{at.year}" if at.year != now.year else "")


def money(amount_minor: int, currency: str) -> str:
    """An amount of a provider as people write it."""
    code = currency.upper()
    places = 0 if code in _NO_DIGITS else 3 if code in _THREE_DIGITS else 2
    shown = 0 if code in _ONLY_WHOLE else places
    return f"{format.price(Decimal(amount_minor).scaleb(-places), shown)}\u00a0{'Stars' if code == 'XTR' else code}"
