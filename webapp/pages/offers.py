"""What can be done about a plan: every button of the page, with the consequence it asks about first."""

from dataclasses import dataclass

from services.tiers import Tier
from webapp.pages import plans
from webapp.pages.plans import Known, date, name

CHANGEABLE = ("active", "trialing")
ENDABLE = ("active", "trialing", "past_due")
MONTHLY_CURRENCY = "usd"


@dataclass(frozen=True, slots=True)
class Act:
    """One button. ``kind`` is its place in the API, ``look`` primary, reject or '' for neither; without a
    ``message`` it asks nothing first.

    Telegram's popup takes a title of 64 characters and a message of 256.
    """

    kind: str
    label: str
    look: str = ""
    tier: str = ""
    title: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """One plan beside the others. ``mark`` says what it is to the reader, '' for nothing."""

    tier: str
    name: str
    price: str
    mark: str
    is_current: bool
    covers: tuple[str, ...]
    act: Act | None


def manage(known: Known) -> Act | None:
    """Cards, addresses and receipts are the provider's business, on the provider's page."""
    if known.seller is None or not known.is_customer:
        return None
    return Act("portal", "Manage", "primary" if plans.warning(known) else "")


def ending(known: Known) -> Act | None:
    """Cancel, or keep what is cancelled."""
    row = known.row
    if row is None or not known.is_sold_here or row.status not in ENDABLE:
        return None
    plan, end = name(known.row_tier or known.tier), date(row.current_period_end, known.now)
    cost = plans.money(row.amount_minor, row.currency)
    if row.cancel_at_period_end:
        first = f"Your trial goes on. From {end} it costs" if row.status == "trialing" else f"It renews {end} for"
        return Act("resume", f"Keep {plan}", "primary", title=f"Keep {plan}?", message=f"{first} {cost} a month.")
    held = name(known.tier) if known.tier.rank else plan
    after = f"You keep {held} until {end} and are not charged again."
    if row.status == "trialing":
        after = f"Your trial goes on until {end}. Nothing is charged."
    if row.status == "past_due":
        after = f"{plan} does not renew any more. The payment that failed may still be collected."
    return Act("cancel", "Cancel plan", "reject", title=f"Cancel {plan}?", message=after)


def offers(known: Known) -> list[Offer]:
    """Every plan, the cheapest first."""
    return [_offer(known, tier) for tier in known.catalogue]


def _offer(known: Known, tier: Tier) -> Offer:
    is_current = tier.rank == known.tier.rank
    is_next = known.row is not None and tier.rank < known.tier.rank and (
        tier.rank == 0 if known.row.cancel_at_period_end else tier.name == known.row.tier)
    cost = plans.money(tier.amount_minor, MONTHLY_CURRENCY) if tier.rank else "0\u00a0USD"
    return Offer(tier.name, name(tier), cost, "Your plan" if is_current else "Next" if is_next else "", is_current,
                 _covers(tier), _act(known, tier))


def _covers(tier: Tier) -> tuple[str, ...]:
    told = ["Live and paper trading" if tier.live else "Paper trading",
            "Cards at once" if not tier.card_delay_seconds else f"Cards {_span(tier.card_delay_seconds)} late",
            _many(tier.accounts, "linked account"), _many(tier.devices, "device")]
    return (*told, "Copy trading") if tier.copy_trading else tuple(told)


def _many(count: int, thing: str) -> str:
    return f"{count or 'No'} {thing}{'' if count == 1 else 's'}"


def _span(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"


def _act(known: Known, tier: Tier) -> Act | None:
    row = known.row
    if known.seller is None or tier.rank == 0:
        return None
    if row is None or row.status == "incomplete":
        return _purchase(known, tier) if tier.rank >= known.tier.rank else None
    if not known.is_sold_here or row.status not in CHANGEABLE or row.cancel_at_period_end or tier.name == row.tier:
        return None
    return _change(known, tier)


def _purchase(known: Known, tier: Tier) -> Act:
    days = known.seller.trial_days if known.seller else 0
    return Act("checkout", f"Try {days} days free" if days else f"Choose {name(tier)}", "primary", tier.name)


def _change(known: Known, tier: Tier) -> Act:
    """Up counts now, down when the period ends; what is paid for already costs nothing more."""
    row = known.row
    assert row is not None
    new, old = name(tier), name(known.catalogue.ranked(known.paid_rank))
    end = date(row.current_period_end, known.now)
    cost = plans.money(tier.amount_minor, MONTHLY_CURRENCY)
    if tier.rank > known.paid_rank:
        then = f"{new} starts now, and the difference for the time until {end} is charged at once. After that it "
        if row.status == "trialing":
            then = f"{new} starts now, and your trial still ends {end}. After that it "
        return Act("change-plan", f"Upgrade to {new}", "primary", tier.name, f"Upgrade to {new}?",
                   f"{then}costs {cost} a month.")
    if tier.rank == known.paid_rank:
        return Act("change-plan", f"Keep {new}", "", tier.name, f"Keep {new}?",
                   f"Nothing is charged now. From {end} {new} costs {cost} a month, as before.")
    return Act("change-plan", f"Switch to {new}", "", tier.name, f"Switch to {new}?",
               f"You keep {old} until {end}. From then on it is {new}, for {cost} a month. Nothing is paid back.")
