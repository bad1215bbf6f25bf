"""The pages themselves: public, the same for everyone, without a figure in them. Scripts fetch the rest."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from webapp import keys
from webapp.pages import rendering

PAGES = ("approvals", "positions", "accounts", "billing", "settings")


def show(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of one page. They share one document, in which ``name`` is the one that is open."""

    async def shell(request: web.Request) -> web.Response:
        username = request.app[keys.bot_username]()
        console = request.app[keys.console_origin]
        return rendering.page(request, "shell.html", {
            "open": name, "bot_link": f"https://t.me/{username}" if username else None, "console": console,
            "can_buy": request.app[keys.cashier] is not None or any(
                cashier.prices for cashier in request.app[keys.cashiers].values()),
            "poll_seconds": request.app[keys.settings].facts.approvals.poll_seconds})

    return shell
