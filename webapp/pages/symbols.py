"""The fragment of an account's symbol map: what signals call a market and what the broker calls it."""

from dataclasses import dataclass

from aiohttp import web

from models.symbol import MapSource, SymbolMap
from services import symbols
from webapp import keys
from webapp.pages.rendering import fragment
from webapp.paths import id_of
from webapp.security import now as clock
from webapp.security import signed_in

PROBLEMS = {
    "missing": "Your broker has nothing that fits. Orders are refused.",
    "ambiguous": "Several could be meant. Choose one; until then orders are refused.",
    "unconfirmed": "Another contract size than usual. Save it to confirm; until then orders are refused.",
}


@dataclass(frozen=True, slots=True)
class MapRow:
    """One symbol. ``is_edited`` where the owner has said what it is."""

    symbol: str
    broker_symbol: str | None
    problem: str | None
    is_edited: bool


@signed_in("reads")
async def listed(request: web.Request, user_id: int) -> web.Response:
    """What is known of the account's symbols, those with a problem first."""
    account_id, now = id_of(request), clock()
    async with request.app[keys.desk].database.reading() as session:
        found = await symbols.listed(session, user_id, account_id)
    rows = sorted((_row(one) for one in found), key=lambda row: (row.problem is None, row.symbol))
    return fragment(request, "fragments/symbols.html", {"rows": rows}, now)


def _row(of: SymbolMap) -> MapRow:
    problem = PROBLEMS.get(of.problem, "It is not clear what it is. Orders are refused.") if of.problem else None
    return MapRow(of.symbol, of.broker_symbol, problem, of.source == MapSource.EDITED)
