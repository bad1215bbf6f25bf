"""Where a user's plan stands, in words: the status, the price, and what the page must warn of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from models.billing import Subscription
from models.grant import Grant
from services.currencies import written
from services.payments.protocol import Capabilities, Money
from services.tiers import Catalogue, Tier, title

STARS = "telegram"
EVERYTHING = Capabilities()
TAKEN_BACK = {"refund": "Payment refunded", "dispute": "Payment disputed"}


@dataclass(frozen=True, slots=True)
class Seller:
    """One who takes money here, and for how much a month by plan; ``trial_days`` is 0 for a user who has had their
    trial. Who is not offered any more still keeps the subscriptions there are."""

    provider: str
    prices: Mapping[str, Money]
    trial_days: int = 0
    able: Capabilities = EVERYTHING
    is_offered: bool = True


@dataclass(frozen=True, slots=True)
class Known:
    """What a page is written from. ``cover`` is the grant of the tier in force that ends last, ``paid_rank`` what
    the subscription has paid for, ``taken_back`` why what it paid for is closed, ``sellers`` the first one first, empty
    where nothing can be bought."""

    catalogue: Catalogue
    tier: Tier
    row: Subscription | None
    cover: Grant | None
    paid_rank: int
    accounts: int
    is_customer: bool
    sellers: tuple[Seller, ...]
    now: datetime
    taken_back: str | None = None

    @property
    def row_tier(self) -> Tier | None:
        """The plan the subscription is for."""
        return self.catalogue.named(self.row.tier) if self.row else None

    @property
    def offered(self) -> list[Seller]:
        """Who a plan can be bought from."""
        return [each for each in self.sellers if each.is_offered]

    @property
    def seller(self) -> Seller | None:
        """Who is paid for the subscription, and can change it; None where it is not sold here."""
        return next((each for each in self.sellers if self.row and each.provider == self.row.provider), None)


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
        closed = TAKEN_BACK.get(known.taken_back or "")
        return Standing(f"{closed}, {name(paid_for)} is closed" if closed else "Payment under way", "warn")
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
        return _renews_closed(known)
    if known.row.status == "incomplete":
        return "Your payment needs one more step. Finish it, or choose a plan again."
    settle = "top up your Stars" if known.row.provider == STARS else "settle it"
    if known.tier.rank == 0:
        return f"The last payment failed and your plan has ended. To get the plan back, {settle}."
    return f"The last payment failed. You keep {name(known.tier)} until {_cover(known)}; {settle} before then."


def _renews_closed(known: Known) -> str | None:
    """A plan whose money went back is charged for again, unless it is cancelled."""
    row, paid_for = known.row, known.row_tier
    if row is None or paid_for is None or paid_for.rank <= known.tier.rank or row.cancel_at_period_end:
        return None
    if known.taken_back not in TAKEN_BACK:
        return None
    return (f"{name(paid_for)} is closed but still renews {date(row.current_period_end, known.now)}. Cancel it if you "
            f"do not want it back.")


def price(known: Known) -> str | None:
    """What the subscription costs; None where nothing is paid, or nothing more for this plan."""
    row, paid_for = known.row, known.row_tier
    if row is None:
        return None
    told = f"{written(row.amount_minor, row.currency)} a month"
    if paid_for is not None and paid_for.rank < known.tier.rank:
        return None if row.cancel_at_period_end else f"then {told}"
    return told


def paid_with(known: Known) -> str | None:
    """By what means the subscription is paid, where that is not a card."""
    return "Paid with Telegram Stars" if known.row is not None and known.row.provider == STARS else None


def is_bought(known: Known) -> bool:
    """Whether a subscription is there and gives what it is for: what one waits for after paying."""
    paid_for = known.row_tier
    return (known.row is not None and known.row.status in ("active", "trialing", "past_due")
            and paid_for is not None and 0 < paid_for.rank <= known.tier.rank)


def name(tier: Tier) -> str:
    """The tier as people call it."""
    return title(tier.name)


def date(at: datetime | None, now: datetime) -> str:
    """A day, with its year when that is another one."""
    if at is None:
        return "soon"
    return f"{at.day}\u00a0{at:%b}" + (f"\u00a0{at.year}" if at.year != now.year else "")
