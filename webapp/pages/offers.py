"""What can be done about a plan: every button of the page, with the consequence it asks about first."""

from dataclasses import dataclass

from services.currencies import written
from services.payments.protocol import Money
from services.previews import PlanPreview
from services.tiers import Tier
from webapp.pages import plans
from webapp.pages.plans import Known, Seller, date, name

CHANGEABLE = ("active", "trialing")
ENDABLE = ("active", "trialing", "past_due")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to pay, and what a month costs that way."""

    provider: str
    price: str


@dataclass(frozen=True, slots=True)
class Act:
    """One button. ``kind`` is its place in the API, ``look`` primary, reject or '' for neither; without a
    ``message`` it asks nothing first. ``ways`` are chosen from where there are several; with ``is_priced`` the
    provider is asked for the amount before anything is agreed to.

    Telegram's popup takes a title of 64 characters and a message of 256.
    """

    kind: str
    label: str
    look: str = ""
    tier: str = ""
    title: str = ""
    message: str = ""
    ways: tuple[Way, ...] = ()
    is_priced: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """One plan beside the others. ``other_price`` is what it costs paid otherwise, ``mark`` what it is to the
    reader; both '' for nothing."""

    tier: str
    name: str
    price: str
    other_price: str
    mark: str
    is_current: bool
    covers: tuple[str, ...]
    act: Act | None


def manage(known: Known) -> Act | None:
    """Cards, addresses and receipts are the provider's business, on the provider's page, where it has one."""
    if known.row is not None and (known.seller is None or not known.seller.able.portal):
        return None
    if not known.is_customer or not any(each.able.portal for each in known.sellers):
        return None
    return Act("portal", "Manage", "primary" if plans.warning(known) else "")


def ending(known: Known) -> Act | None:
    """Cancel, or keep what is cancelled."""
    row = known.row
    if row is None or known.seller is None or row.status not in ENDABLE:
        return None
    plan, end = name(known.row_tier or known.tier), date(row.current_period_end, known.now)
    cost = written(row.amount_minor, row.currency)
    if row.cancel_at_period_end and not known.seller.able.resumes:
        return None
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


def resumed_elsewhere(known: Known) -> str | None:
    """Where a cancelled plan is switched on again, when that is not for us to do."""
    row = known.row
    if row is None or known.seller is None or not row.cancel_at_period_end or known.seller.able.resumes:
        return None
    return "To keep it, switch it on again in Telegram: Settings, My Stars."


def offers(known: Known) -> list[Offer]:
    """Every plan, the cheapest first."""
    return [_offer(known, tier) for tier in known.catalogue]


def _offer(known: Known, tier: Tier) -> Offer:
    is_current = tier.rank == known.tier.rank
    is_next = known.row is not None and tier.rank < known.tier.rank and (
        tier.rank == 0 if known.row.cancel_at_period_end else tier.name == known.row.tier)
    first, *others = _prices(known, tier)
    return Offer(tier.name, name(tier), first, " or ".join(others), "Your plan" if is_current else
                 "Next" if is_next else "", is_current, _covers(tier), _act(known, tier))


def _prices(known: Known, tier: Tier) -> list[str]:
    """What a month costs, by every way to pay; the list price where nothing is sold."""
    if tier.rank == 0:
        return ["0\u00a0USD"]
    found = [_written(each.prices[tier.name]) for each in known.offered if tier.name in each.prices]
    return found or [written(tier.amount_minor, "usd")]


def _written(money: Money) -> str:
    return written(money.amount_minor, money.currency)


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
    if tier.rank == 0:
        return None
    if row is None or row.status == "incomplete":
        return _purchase(known, tier) if tier.rank >= known.tier.rank else None
    if known.seller is None or row.status not in CHANGEABLE or row.cancel_at_period_end or tier.name == row.tier:
        return None
    if not known.seller.able.changes_plan:
        return _bought_anew(known, known.seller, tier)
    return _change(known, tier)


def _purchase(known: Known, tier: Tier) -> Act | None:
    sellers = [each for each in known.offered if tier.name in each.prices]
    if not sellers:
        return None
    ways = tuple(Way(each.provider, f"{_written(each.prices[tier.name])} a month") for each in sellers)
    days = sellers[0].trial_days if len(sellers) == 1 else 0
    return Act("checkout", f"Try {days} days free" if days else f"Choose {name(tier)}", "primary", tier.name, ways=ways)


def _change(known: Known, tier: Tier) -> Act:
    """Up counts now, down when the period ends; what is paid for already costs nothing more."""
    assert known.row is not None
    new, old = name(tier), name(known.catalogue.ranked(known.paid_rank))
    end, cost = date(known.row.current_period_end, known.now), _monthly(known, tier)
    if tier.rank > known.paid_rank:
        return Act("change-plan", f"Upgrade to {new}", "primary", tier.name, f"Upgrade to {new}?", is_priced=True)
    if tier.rank == known.paid_rank:
        return Act("change-plan", f"Keep {new}", "", tier.name, f"Keep {new}?",
                   f"Nothing is charged now. From {end} {new} costs {cost} a month, as before.")
    return Act("change-plan", f"Switch to {new}", "", tier.name, f"Switch to {new}?",
               f"You keep {old} until {end}. From then on it is {new}, for {cost} a month. Nothing is paid back.")


def _bought_anew(known: Known, seller: Seller, tier: Tier) -> Act | None:
    """Where no difference can be paid a dearer plan is bought anew, and a cheaper one when this one is over."""
    if tier.rank <= known.paid_rank or tier.name not in seller.prices:
        return None
    new, old = name(tier), name(known.row_tier or known.tier)
    return Act("change-plan", f"Upgrade to {new}", "primary", tier.name, f"Upgrade to {new}?",
               f"You pay {_written(seller.prices[tier.name])} now and every month. {new} starts at once, {old} is not "
               f"renewed, and nothing of it is paid back.")


def _monthly(known: Known, tier: Tier) -> str:
    """What a month costs whoever pays in the currency of their subscription."""
    assert known.row is not None and known.seller is not None
    price = known.seller.prices.get(tier.name)
    if price is None or price.currency != known.row.currency:
        return f"its price in {known.row.currency.upper()}"
    return _written(price)


def agreement(known: Known, preview: PlanPreview) -> str:
    """What is agreed to when a dearer plan is chosen: what is paid today, and from when on what a month."""
    row, tier = known.row, known.catalogue.named(preview.tier)
    assert row is not None and tier is not None
    end, cost = date(row.current_period_end, known.now), _monthly(known, tier)
    if row.status == "trialing" and preview.money.amount_minor <= 0:
        return f"{name(tier)} starts now. You pay nothing today; your trial ends {end}, then it costs {cost} a month."
    if preview.money.amount_minor <= 0:
        return f"{name(tier)} starts now. You pay nothing today, then {cost} a month from {end}."
    return f"You pay {_written(preview.money)} today, then {cost} a month from {end}. {name(tier)} starts now."
