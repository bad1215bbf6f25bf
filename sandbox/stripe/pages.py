"""The hosted pages people see in the browser: checkout, customer portal, invoice."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from yarl import URL

from sandbox.stripe import checkout, page_parts, portal
from sandbox.stripe.currencies import display
from sandbox.stripe.errors import StripeError
from sandbox.stripe.page_style import CSS
from sandbox.stripe.world import Object, World

POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
DECLINED = "Your card was declined. Try another one."


class Pages:
    """Forms post back to the page they stand on; what they did is on disk before the browser goes on."""

    def __init__(self, world: World, committed: Callable[[], Awaitable[None]]) -> None:
        self._world, self._committed = world, committed

    def register(self, app: web.Application) -> None:
        add = app.router.add_route
        add("GET", "/stripe/style.css", self.style)
        for path, handler in (("pay/{id}", self.checkout), ("pay/{id}/challenge", self.challenge),
                              ("portal/{id}", self.portal), ("invoice/{id}", self.invoice),
                              ("invoice/{id}/challenge", self.invoice_challenge)):
            add("GET", f"/stripe/{path}", handler)
            add("POST", f"/stripe/{path}", handler)
        add("GET", "/stripe/invoice/{id}/pdf", self.pdf)

    async def style(self, request: web.Request) -> web.Response:
        return web.Response(text=CSS, content_type="text/css")

    async def checkout(self, request: web.Request) -> web.Response:
        session = self._find(request, "checkout.session")
        form = await self._form(request)
        action, code = form.get("action"), form.get("promotion_code", "").strip() or None
        if session["status"] != "open":
            return _page(page_parts.done_page("Checkout", f"This checkout is {session['status']}."))
        if action == "abandon":
            raise web.HTTPSeeOther(session["cancel_url"] or session["success_url"])
        if action == "require_action":
            raise web.HTTPSeeOther(URL(f"/stripe/pay/{session['id']}/challenge").with_query(promotion_code=code or ""))
        if action not in ("pay", "decline", "pay_later"):
            return _page(page_parts.pay_page(self._world, session))
        return await self._pay(session, {
            "card": "decline" if action == "decline" else "ok", "asynchronous": action == "pay_later",
            "promotion_code": code})

    async def challenge(self, request: web.Request) -> web.Response:
        """Where the bank asks whether it is really them."""
        session = self._find(request, "checkout.session")
        action = (await self._form(request)).get("action")
        if action == "authenticate":
            return await self._pay(session, {"card": "require_action", "authenticated": True,
                                             "promotion_code": request.query.get("promotion_code") or None})
        if action == "refuse":
            return await self._pay(session, {"card": "decline"})
        return _page(page_parts.challenge_page(display(session["amount_total"], session["currency"])))

    async def portal(self, request: web.Request) -> web.Response:
        session, form, error = self._find(request, "billing_portal.session"), await self._form(request), ""
        if form:
            try:
                subscription = portal.own_subscription(self._world, session, form.get("subscription", ""))
                portal.act(self._world, subscription, form.get("action", ""), form.get("price"))
            except StripeError as failure:
                error = failure.message
            await self._committed()
        return _page(page_parts.portal_page(self._world, session, error))

    async def invoice(self, request: web.Request) -> web.Response:
        invoice, error = self._find(request, "invoice"), ""
        action = (await self._form(request)).get("action")
        if action == "require_action":
            raise web.HTTPSeeOther(f"/stripe/invoice/{invoice['id']}/challenge")
        if action in ("pay", "decline"):
            error = await self._pay_invoice(invoice, "ok" if action == "pay" else "decline")
        return _page(page_parts.invoice_page(invoice, error))

    async def invoice_challenge(self, request: web.Request) -> web.Response:
        invoice = self._find(request, "invoice")
        action = (await self._form(request)).get("action")
        if action == "authenticate":
            return _page(page_parts.invoice_page(invoice, await self._pay_invoice(invoice, "require_action")))
        if action == "refuse":
            return _page(page_parts.invoice_page(invoice, await self._pay_invoice(invoice, "decline")))
        return _page(page_parts.challenge_page(display(invoice["amount_remaining"], invoice["currency"])))

    async def pdf(self, request: web.Request) -> web.Response:
        return web.Response(body=page_parts.pdf(self._find(request, "invoice")), content_type="application/pdf")

    async def _pay(self, session: Object, facts: dict[str, Any]) -> web.Response:
        try:
            outcome, error = checkout.pay(self._world, session, **facts), DECLINED
        except StripeError as failure:
            outcome, error = "failed", failure.message
        await self._committed()
        if outcome == "paid":
            raise web.HTTPSeeOther(checkout.return_url(session))
        return _page(page_parts.pay_page(self._world, session, error))

    async def _pay_invoice(self, invoice: Object, card: Any) -> str:
        try:
            outcome = portal.pay_invoice(self._world, invoice, card, authenticated=card == "require_action")
        except StripeError as failure:
            return failure.message
        finally:
            await self._committed()
        return "" if outcome == "paid" else DECLINED

    def _find(self, request: web.Request, kind: str) -> Object:
        self._world.catch_up()
        known = self._world.objects.get(request.match_info["id"])
        if known is None or known["object"] != kind:
            raise web.HTTPNotFound(text="There is no such page.")
        return known

    async def _form(self, request: web.Request) -> dict[str, str]:
        """What was sent, only by this page itself; nothing for a GET."""
        if request.method != "POST":
            return {}
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"http://{request.headers['Host']}":
            raise web.HTTPForbidden(text="Requests from another origin are refused.")
        return {name: value for name, value in (await request.post()).items() if isinstance(value, str)}


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """The hosted pages' own policy: their forms lead on to the shop, wherever it is."""
    if request.path.startswith("/stripe/"):
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["Referrer-Policy"] = "same-origin"


def _page(html: str) -> web.Response:
    return web.Response(text=html, content_type="text/html", headers={"Cache-Control": "no-store"})
