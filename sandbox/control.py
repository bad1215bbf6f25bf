"""The control API: what the console and the checks steer the sandbox with. JSON in, JSON out."""

import re
import time
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from runtime import strict_json
from sandbox import examples, init_data
from sandbox.product import Product
from sandbox.publishing import Publisher
from sandbox.stripe import faults as stripe_faults
from sandbox.stripe.standin import StripeStandIn
from sandbox.telegram import people, profile, views
from sandbox.telegram.api import Telegram
from sandbox.telegram.errors import BotApiError
from sandbox.telegram.faults import KINDS, Fault
from sandbox.telegram.methods import BY_LOWER_NAME
from sandbox.telegram.state import Message, Person
from sandbox.trade_server import TradeServer

_USERNAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{3,31}")
_SYMBOL = re.compile(r"[A-Za-z0-9._#-]{1,32}")


class Refused(Exception):
    """A request the sandbox cannot carry out; becomes ``{"error"}`` with this status."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


@web.middleware
async def errors_as_json(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except Refused as refused:
        return reply({"error": refused.error}, refused.status)
    except BotApiError as error:
        return reply({"error": error.description}, error.code)
    except web.HTTPException as error:
        if error.status < 400 or not request.path.startswith("/control"):
            raise
        return reply({"error": error.reason}, error.status)
    return response


class Control:
    """Handlers over one Telegram, one product and, where there is one, Stripe's stand-in."""

    def __init__(self, telegram: Telegram, product: Product, publisher: Publisher, bot_token: str,
                 stripe: StripeStandIn | None = None, broker: TradeServer | None = None) -> None:
        self._telegram, self._product, self._publisher = telegram, product, publisher
        self._token, self._stripe, self._broker = bot_token, stripe, broker

    def register(self, app: web.Application) -> None:
        add = app.router.add_route
        add("GET", "/control/state", self.state)
        add("GET", "/control/log", self.log)
        add("POST", "/control/users", self.add_user)
        add("GET", "/control/users/{user_id}/init-data", self.init_data)
        add("POST", "/control/users/{user_id}/block", self.block)
        add("POST", "/control/users/{user_id}/unblock", self.block)
        add("GET", "/control/chats/{user_id}", self.chat)
        add("GET", "/control/chats/{user_id}/messages", self.messages)
        add("POST", "/control/chats/{user_id}/messages", self.write)
        add("POST", "/control/chats/{user_id}/taps", self.tap)
        add("GET", "/control/prices", self.prices)
        add("POST", "/control/prices", self.set_price)
        add("POST", "/control/prices/nudge", self.nudge)
        add("GET", "/control/examples", self.examples)
        add("POST", "/control/publish", self.publish)
        add("POST", "/control/terminal/payments", self.pay)
        add("POST", "/control/faults", self.add_fault)
        add("DELETE", "/control/faults", self.clear_faults)

    async def state(self, request: web.Request) -> web.Response:
        key = self._product.provider_key
        return reply({
            "bot": {"id": views.BOT["id"], "username": views.USERNAME, "first_name": views.FIRST_NAME},
            "app_url": self._product.app_url, "api_base": f"http://{request.host}", "bot_token": self._token,
            "provider": {"key_id": key[0], "secret": key[1]} if key else None,
            "stripe": self._stripe and self._stripe.access(f"http://{request.host}"),
            "terminal": self._broker.access() if self._broker else {"server": None, "accounts": []},
            "users": [asdict(person) for person in self._telegram.state.people.values()],
            "faults": self._faults(),
        })

    async def log(self, request: web.Request) -> web.Response:
        """Every message there ever was, deleted ones too, and how the bot's calls were answered."""
        state = self._telegram.state
        chats = {str(user_id): [message_view(message) | {"texts": message.texts, "deleted": message.deleted}
                                for message in state.chat(user_id)] for user_id in state.people}
        return reply({"chats": chats, "calls": self._telegram.calls, "pending_updates": len(state.updates)})

    async def add_user(self, request: web.Request) -> web.Response:
        body = await _body(request)
        first_name, username = _text(body, "first_name", 64), body.get("username")
        if username is not None and (not isinstance(username, str) or not _USERNAME.fullmatch(username)):
            raise Refused(400, "username must be 4 to 32 letters, digits or underscores.")
        person = self._telegram.state.add_person(first_name, username)
        await self._telegram.committed()
        return reply({"id": person.id})

    async def init_data(self, request: web.Request) -> web.Response:
        person = self._person(request)
        signed = init_data.sign(
            views.launch_user(person), bot_token=self._token, auth_date=int(time.time()),
            chat_instance=views.chat_instance(person), start_param=request.query.get("start_param"))
        return reply({"init_data": signed})

    async def block(self, request: web.Request) -> web.Response:
        person = self._person(request)
        people.set_blocked(self._telegram, person, request.path.endswith("/block"))
        await self._telegram.committed()
        return reply({"blocked": person.blocked})

    async def chat(self, request: web.Request) -> web.Response:
        """What a client needs to show the chat besides its messages."""
        person = self._person(request)
        return reply({
            "user": asdict(person), "commands": profile.commands_for(self._telegram, person.id),
            "menu_button": profile.menu_button(self._telegram, str(person.id)),
            "description": self._telegram.state.settings.get("description", {}).get("", ""),
        })

    async def messages(self, request: web.Request) -> web.Response:
        found = self._telegram.state.chat(self._person(request).id)
        return reply([message_view(message) for message in found if not message.deleted])

    async def write(self, request: web.Request) -> web.Response:
        person, body = self._person(request), await _body(request)
        message = people.write(self._telegram, person, _text(body, "text", 4096))
        await self._telegram.committed()
        return reply({"message_id": message.message_id})

    async def tap(self, request: web.Request) -> web.Response:
        person, body = self._person(request), await _body(request)
        message_id, data = body.get("message_id"), _text(body, "callback_data", 64)
        if type(message_id) is not int or len(data.encode()) > 64:
            raise Refused(400, "message_id must be a number and callback_data at most 64 bytes.")
        message = self._telegram.state.message(person.id, message_id)
        if message is None or not message.from_bot:
            raise Refused(404, "This chat has no such message of the bot.")
        query = await people.tap(self._telegram, person, message, data)
        if not query.answered:
            raise Refused(504, "The bot did not answer the tap in time.")
        return reply({"answer": query.answer, "show_alert": query.show_alert})

    async def prices(self, request: web.Request) -> web.Response:
        found = self._product.prices() if self._product.prices else {}
        return reply({symbol: {"bid": bid, "ask": ask} for symbol, (bid, ask) in sorted(found.items())})

    async def set_price(self, request: web.Request) -> web.Response:
        body = await _body(request)
        symbol, bid, ask = _symbol(body), _decimal(body, "bid"), _decimal(body, "ask")
        if self._product.set_price is None:
            raise Refused(409, "No market is attached.")
        try:
            await self._product.set_price(symbol, bid, ask)
        except ValueError as error:
            raise Refused(400, str(error)) from error
        return reply({"symbol": symbol, "bid": bid, "ask": ask})

    async def nudge(self, request: web.Request) -> web.Response:
        body = await _body(request)
        symbol, direction = _symbol(body), body.get("direction")
        if type(direction) is not int or direction not in (-1, 1):
            raise Refused(400, "direction must be 1 or -1.")
        if self._product.nudge is None:
            raise Refused(409, "No market is attached.")
        try:
            await self._product.nudge(symbol, direction)
        except ValueError as error:
            raise Refused(400, str(error)) from error
        return await self.prices(request)

    async def examples(self, request: web.Request) -> web.Response:
        return reply(examples.fill(self._product.prices() if self._product.prices else {}))

    async def publish(self, request: web.Request) -> web.Response:
        """The product's own answer, whatever it is; 502 when there is none."""
        status, answer = await self._publisher.publish(await _body(request))
        return reply(answer, status)

    async def pay(self, request: web.Request) -> web.Response:
        """``{"login", "amount", "kind"?}``: money comes into an account at the broker, or goes out below 0."""
        if self._broker is None:
            raise Refused(409, "No broker is attached.")
        try:
            return reply(self._broker.pay(await _body(request)))
        except ValueError as error:
            raise Refused(400, str(error)) from error

    async def add_fault(self, request: web.Request) -> web.Response:
        body = await _body(request)
        if body.get("target") == "stripe" and self._stripe is not None:
            self._stripe.faults.add(_stripe_fault(body))
            return reply({"faults": self._faults()})
        if body.get("target") == "terminal" and self._broker is not None:
            try:
                self._broker.add_fault(body)
            except ValueError as error:
                raise Refused(400, str(error)) from error
            return reply({"faults": self._faults()})
        if body.get("target") != "telegram":
            raise Refused(400, f"target must be one of {', '.join(self._targets())}.")
        kind, times, method = body.get("fault"), body.get("times", 1), body.get("method")
        retry_after = body.get("retry_after", 1)
        if not isinstance(kind, str) or kind not in KINDS:
            raise Refused(400, f"fault must be one of {', '.join(sorted(KINDS))}.")
        if type(times) is not int or not 1 <= times <= 10_000 or type(retry_after) is not int or retry_after < 1:
            raise Refused(400, "times and retry_after must be whole numbers from 1.")
        if method is not None and str(method).lower() not in BY_LOWER_NAME:
            raise Refused(400, "method must be one of the Bot API's.")
        self._telegram.faults.add(Fault(kind, times, str(method).lower() if method else None, retry_after))
        return reply({"faults": self._faults()})

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._telegram.faults.clear()
        if self._stripe is not None:
            self._stripe.faults.clear()
        if self._broker is not None:
            self._broker.broker.faults.clear()
        return reply({"faults": []})

    def _targets(self) -> list[str]:
        return ["telegram", *(["stripe"] if self._stripe else []), *(["terminal"] if self._broker else [])]

    def _faults(self) -> list[dict[str, Any]]:
        found = [asdict(fault) for fault in self._telegram.faults.waiting()]
        if self._stripe is not None:
            found += [fault | {"target": "stripe"} for fault in self._stripe.faults.waiting()]
        if self._broker is not None:
            found += [asdict(fault) | {"target": "terminal"} for fault in self._broker.broker.faults.waiting()]
        return found

    def _person(self, request: web.Request) -> Person:
        text = request.match_info["user_id"]
        person = self._telegram.state.people.get(int(text)) if re.fullmatch(r"[0-9]{1,18}", text) else None
        if person is None:
            raise Refused(404, "There is no such user.")
        return person


def message_view(message: Message) -> dict[str, Any]:
    """A message as the control API shows it."""
    rows = (message.reply_markup or {}).get("inline_keyboard", [])
    view: dict[str, Any] = {
        "message_id": message.message_id, "from": "bot" if message.from_bot else "user", "text": message.text,
        "entities": message.entities, "buttons": [[_button(button) for button in row] for row in rows],
        "date": message.date, "edit_date": message.edit_date, "edits": message.edits, "reply_to": message.reply_to,
    }
    if message.service is not None:
        view["service"] = message.service
    return view | {"slug": message.slug, "paid": message.paid} if message.slug is not None else view


def reply(body: Any, status: int = 200) -> web.Response:
    return web.Response(body=strict_json.dumps(body), status=status, content_type="application/json",
                        headers={"Cache-Control": "no-store"})


def _button(button: dict[str, Any]) -> dict[str, Any]:
    shown = ("text", "style", "callback_data", "url", "copy_text", "pay")
    view: dict[str, Any] = {name: button[name] for name in shown if name in button}
    return {**view, "web_app_url": button["web_app"]["url"]} if "web_app" in button else view


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = strict_json.loads(await request.read())
    except strict_json.InvalidJson as error:
        raise Refused(400, "The body must be JSON.") from error
    if not isinstance(body, dict):
        raise Refused(400, "The body must be a JSON object.")
    return body


def _text(body: dict[str, Any], name: str, longest: int) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        raise Refused(400, f"{name} must be a text of 1 to {longest} characters.")
    return value


def _stripe_fault(body: dict[str, Any]) -> stripe_faults.Fault:
    kind, times, on, seconds = body.get("fault"), body.get("times", 1), body.get("on"), body.get("seconds", 2)
    if not isinstance(kind, str) or kind not in stripe_faults.KINDS:
        raise Refused(400, f"fault must be one of {', '.join(sorted(stripe_faults.KINDS))}.")
    if type(times) is not int or not 1 <= times <= 10_000:
        raise Refused(400, "times must be a whole number from 1.")
    if on is not None and not isinstance(on, str):
        raise Refused(400, "on must be the beginning of a call, as POST /v1/refunds, or an event's type.")
    if not isinstance(seconds, int | Decimal) or isinstance(seconds, bool) or not 0 <= seconds <= 600:
        raise Refused(400, "seconds must be a number up to 600.")
    return stripe_faults.Fault(kind, times, on, float(seconds))


def _symbol(body: dict[str, Any]) -> str:
    symbol = _text(body, "symbol", 32)
    if not _SYMBOL.fullmatch(symbol):
        raise Refused(400, "symbol must be letters, digits or ._#-")
    return symbol


def _decimal(body: dict[str, Any], name: str) -> Decimal:
    value = body.get(name)
    try:
        number = Decimal(value) if isinstance(value, str | int | Decimal) and not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or number <= 0:
        raise Refused(400, f"{name} must be a positive decimal.")
    return number
