"""The control API's part for Stars: what people do with their Stars, and the bot's books."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from runtime import strict_json
from sandbox.telegram import paying
from sandbox.telegram.api import Telegram
from sandbox.telegram.books import Invoice, Subscription
from sandbox.telegram.errors import BotApiError

Handler = Callable[[web.Request], Awaitable[Any]]
ACTIONS: dict[str, Callable[[Telegram, Subscription], None]] = {
    "cancel": paying.cancel, "resume": paying.resume, "fail": paying.fail,
}


class Steering:
    """Handlers over one Telegram. Errors are ``{"error"}``."""

    def __init__(self, telegram: Telegram) -> None:
        self._telegram = telegram

    def register(self, app: web.Application) -> None:
        def add(method: str, path: str, handler: Handler) -> None:
            app.router.add_route(method, f"/control/stars{path}", self._answered(handler))
        add("GET", "", self.books)
        add("GET", "/invoices/{slug}", self.invoice)
        add("POST", "/invoices/{slug}/pay", self.pay)
        add("POST", "/subscriptions/{charge_id}/{action}", self.subscription)
        add("POST", "/charges/{charge_id}/refund", self.refund)

    async def books(self, request: web.Request) -> Any:
        """Balance, transactions and subscriptions, each oldest first."""
        books = self._telegram.books
        return {"now": self._telegram.now(), "balance": books.balance(),
                "transactions": [asdict(found) for found in books.transactions],
                "subscriptions": [asdict(found) for found in books.subscriptions.values()]}

    async def invoice(self, request: web.Request) -> Any:
        """What a client shows before the payment."""
        found = self._invoice(request)
        return {name: getattr(found, name)
                for name in ("slug", "title", "description", "amount", "subscription_period")}

    async def pay(self, request: web.Request) -> Any:
        """``user_id`` pays; with ``unheard`` the bot's update about it gets lost."""
        invoice, body = self._invoice(request), await _body(request)
        user_id = body.get("user_id")
        person = self._telegram.state.people.get(user_id) if type(user_id) is int else None
        if person is None:
            raise BotApiError(404, "There is no such user.")
        outcome = await paying.pay(self._telegram, person, invoice, unheard=body.get("unheard") is True)
        if outcome.charge_id is None:
            return {"paid": False, "error": outcome.error}
        return {"paid": True, "charge_id": outcome.charge_id}

    async def subscription(self, request: web.Request) -> Any:
        """``renew``, ``cancel``, ``resume`` as its user would; ``fail`` for lack of Stars."""
        action, books = request.match_info["action"], self._telegram.books
        found = books.subscriptions.get(request.match_info["charge_id"])
        if found is None or action not in ("renew", *ACTIONS):
            raise BotApiError(404, "There is no such subscription or action.")
        if action == "renew":
            body = await _body(request)
            payment = paying.renew(self._telegram, found, unheard=body.get("unheard") is True)
            return {"charge_id": payment.charge_id, "subscription": asdict(found)}
        ACTIONS[action](self._telegram, found)
        return {"subscription": asdict(found)}

    async def refund(self, request: web.Request) -> Any:
        """Telegram's own support gives the Stars back."""
        payment = self._telegram.books.find(request.match_info["charge_id"])
        if payment is None:
            raise BotApiError(404, "There is no such charge.")
        paying.refund(self._telegram, payment)
        return {"balance": self._telegram.books.balance()}

    def _invoice(self, request: web.Request) -> Invoice:
        found = self._telegram.books.invoices.get(request.match_info["slug"])
        if found is None:
            raise BotApiError(404, "There is no such invoice.")
        return found

    def _answered(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            paying.catch_up(self._telegram)
            try:
                body = await handler(request)
            except BotApiError:
                await self._telegram.committed()
                raise
            await self._telegram.committed()
            return web.json_response(body, headers={"Cache-Control": "no-store"})
        return answer


async def _body(request: web.Request) -> dict[str, Any]:
    """The JSON object sent, empty when nothing was."""
    raw = await request.read()
    try:
        body = strict_json.loads(raw) if raw else {}
    except strict_json.InvalidJson:
        body = None
    if not isinstance(body, dict):
        raise BotApiError(400, "The body must be a JSON object.")
    return body
