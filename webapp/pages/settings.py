"""The fragment of the Settings page, and the one thing that can be set there."""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from aiohttp import web

from models.account import Account, Route
from models.user import CardNotice
from services import accounts, approvals, tiers, users
from services.errors import InvalidRequest
from services.sizing import sizing_of
from webapp import keys
from webapp.bodies import read
from webapp.pages import words
from webapp.pages.rendering import fragment
from webapp.security import now as clock
from webapp.security import signed_in


@dataclass(frozen=True, slots=True)
class AccountRow:
    label: str
    place: str
    sizing: str
    is_primary: bool


@signed_in("reads")
async def show(request: web.Request, user_id: int) -> web.Response:
    """Who is signed in, on what plan, trading where."""
    return await _shown(request, user_id)


@signed_in("decisions")
async def set_notice(request: web.Request, user_id: int) -> web.Response:
    """Whether new cards make a sound; answers with the page as it is now."""
    form = await _form(request)
    notice = CardNotice.ON if form == [("notice", "on")] else CardNotice.SILENT
    if len(form) > 1 or {name for name, _ in form} - {"notice"}:
        raise InvalidRequest
    desk = request.app[keys.desk]
    async with desk.database.writing() as session:
        await users.set_card_notice(session, user_id, notice)
    return await _shown(request, user_id)


async def _form(request: web.Request) -> list[tuple[str, str]]:
    raw = await read(request)
    if request.content_type != "application/x-www-form-urlencoded":
        raise web.HTTPUnsupportedMediaType
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=8)
    except ValueError as error:
        raise InvalidRequest from error


async def _shown(request: web.Request, user_id: int) -> web.Response:
    desk, now = request.app[keys.desk], clock()
    async with desk.database.reading() as session:
        user = await users.by_id(session, user_id)
        tier = await tiers.tier_of(session, desk.catalogue, user_id, now)
        linked = await accounts.listed(session, user_id)
        waiting = len(await approvals.pending(session, user_id, now))
    rules = desk.execution_rules.sizing
    username = request.app[keys.bot_username]()
    return fragment(request, "fragments/settings.html", {
        "first_name": user.first_name, "tier": tier.name.capitalize(),
        "covers": "Live and paper trading" if tier.live else "Paper trading",
        "delay_minutes": tier.card_delay_seconds // 60, "cards_sound": user.card_notice == CardNotice.ON,
        "accounts": [_account(row, words.sizing(sizing_of(row.sizing, rules))) for row in linked],
        "bot_link": f"https://t.me/{username}" if username else None,
    }, now, pending=waiting)


def _account(row: Account, sizing: str) -> AccountRow:
    place = words.PRACTICE
    if row.route != Route.PAPER:
        place = f"{words.ROUTE.get(row.route, 'Account')} · {row.server} ·{row.login[-4:]}"
    return AccountRow(row.label, place, sizing, row.is_primary)
