"""The fragment of the Accounts page: every account with its figures, and the devices that serve them."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from models.account import Account, AccountStatus, Route
from services import accounts, approvals, devices, sizing, symbols, tiers
from services.desk import Desk
from services.devices import DeviceView
from services.errors import TryLater
from services.positions import Portfolio
from services.sizing import SizingRules
from services.tiers import Tier
from webapp import keys
from webapp.pages import format, words
from webapp.pages.devices import DeviceRow, by_account
from webapp.pages.rendering import fragment
from webapp.security import now as clock
from webapp.security import signed_in

# status: (mark, word, tone)
STATUS = {"verified": ("✓", "Verified", "good"), "watching": ("◉", "View only", "even"),
          "troubled": ("⚠", "Needs attention", "warn")}


@dataclass(frozen=True, slots=True)
class Card:
    """An account as its owner sees it; what scripts need of it stands plain beside what people read."""

    id: int
    label: str
    route: str
    login: str
    server: str
    login_tail: str
    broker: str | None
    place: str
    is_primary: bool
    is_only: bool
    can_be_primary: bool
    mark: str
    status: str
    tone: str
    status_more: str
    note: str | None
    advice: str | None
    can_relink: bool
    equity: str | None
    equity_plain: str
    currency: str
    as_of: datetime | None
    is_stale: bool
    silence: str
    sizing: str
    mode: str
    size: str
    problems: int
    mapped: int
    devices: tuple[DeviceRow, ...]
    primary_message: str
    unlink_message: str


@signed_in("reads")
async def listed(request: web.Request, user_id: int) -> web.Response:
    """The accounts, the primary first, and the devices that serve none of them."""
    desk, now = request.app[keys.desk], clock()
    async with desk.database.reading() as session:
        linked = await accounts.listed(session, user_id)
        held = [row for row in await devices.listed(session, user_id, now) if row.status != "revoked"]
        mapped = await symbols.counted(session, user_id)
        tier = await tiers.tier_of(session, desk.catalogue, user_id, now)
        waiting = len(await approvals.pending(session, user_id, now))
    figures = await asyncio.gather(*(_figures(desk, account, now) for account in linked))
    serving = by_account(held, {account.id: account.label for account in linked})
    following = _following(linked)
    cards = [_card(account, portfolio, desk.execution_rules.sizing, serving.get(account.id, ()), following,
                   mapped.get(account.id, (0, 0)))
             for account, portfolio in zip(linked, figures, strict=True)]
    context = {"accounts": cards, "devices": serving.get(None, ()), "has_devices": bool(held),
               "limit": _limit(linked, held, tier)}
    return fragment(request, "fragments/accounts.html", context, now, pending=waiting)


async def _figures(desk: Desk, account: Account, now: datetime) -> Portfolio | None:
    try:
        return await desk.positions.live(account, now)
    except TryLater:
        return None


def _following(linked: list[Account]) -> str | None:
    """Which account would be primary if the present one went."""
    sound = [row for row in linked[1:] if row.status == AccountStatus.VERIFIED]
    others = sorted(sound or linked[1:], key=lambda row: (row.route == Route.PAPER, row.verified_at or row.created_at))
    return others[0].label if others else None


def _card(account: Account, portfolio: Portfolio | None, rules: SizingRules, serving: tuple[DeviceRow, ...],
          following: str | None, mapped: tuple[int, int]) -> Card:
    snapshot = portfolio.snapshot if portfolio else None
    size = sizing.sizing_of(account.sizing, rules)
    mark, status, tone = STATUS[_standing(account)]
    return Card(
        id=account.id, label=account.label, route=account.route, login=account.login, server=account.server,
        login_tail=account.login[-4:], broker=None if account.route == Route.PAPER else account.broker,
        place=words.PRACTICE if account.route == Route.PAPER else account.server,
        is_primary=account.is_primary, is_only=following is None,
        can_be_primary=account.status == AccountStatus.VERIFIED, mark=mark, status=status, tone=tone,
        status_more=_more(account), note=_note(account), advice=words.trouble(account),
        can_relink=account.status != AccountStatus.VERIFIED and account.route != Route.PAPER,
        equity=format.money(snapshot.equity, snapshot.currency) if snapshot else None,
        equity_plain=str(snapshot.equity) if snapshot else "", currency=account.currency,
        as_of=snapshot.taken_at if snapshot else None, is_stale=portfolio.stale if portfolio else False,
        silence="" if words.trouble(account) else words.silent(account), sizing=words.sizing(size), mode=size["mode"],
        size=size.get("volume") or size["value"], mapped=mapped[0], problems=mapped[1], devices=serving,
        primary_message=_primary_message(account), unlink_message=_unlink_message(account, following))


def _standing(account: Account) -> str:
    if account.status != AccountStatus.VERIFIED:
        return "troubled"
    return "verified" if account.can_trade else "watching"


def _more(account: Account) -> str:
    """What the status means here, where that is not plain."""
    if account.route == Route.DEVICE and account.status == AccountStatus.VERIFIED:
        return "by your EA"
    return ""


def _note(account: Account) -> str | None:
    if account.status == AccountStatus.VERIFIED and not account.can_trade:
        return "Orders for it are refused. To trade, link it once more with its main password."
    return None


def _primary_message(account: Account) -> str:
    kind = "practice money" if account.route == Route.PAPER else "real orders at your broker"
    return (f"Signals you approve from now on go to {account.label[:60]}: {kind}. "
            "Orders already sent stay where they are.")


def _unlink_message(account: Account, following: str | None) -> str:
    """The consequence, short enough for Telegram's popup."""
    kept = {Route.PAPER: "Its practice money and history are kept.",
            Route.TERMINAL: "Its password is erased here.",
            Route.DEVICE: "Its device stays registered."}[Route(account.route)]
    heir = f" {following[:60]} becomes the primary account." if account.is_primary and following else ""
    return f"Approved signals no longer reach it, and open positions are no longer shown. They stay open. {kept}{heir}"


def _limit(linked: list[Account], held: list[DeviceView], tier: Tier) -> str:
    live = sum(account.route != Route.PAPER for account in linked)
    return (f"Your plan: {live} of {tier.accounts} live account{'s' * (tier.accounts != 1)}, "
            f"{len(held)} of {tier.devices} device{'s' * (tier.devices != 1)}. The paper account does not count.")
