"""Objects as Stripe sends them: own keys hidden, what was asked for expanded, lists in pages."""

import copy
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from sandbox.stripe.errors import invalid, no_such

if TYPE_CHECKING:
    from sandbox.stripe.world import Object, World

DEEPEST = 4
DEFAULT_LIMIT = 10


def render(world: "World", known: "Object", expand: Iterable[str] = ()) -> dict[str, Any]:
    """A copy to send. ``expand`` are dotted paths, at most four levels deep."""
    sent: dict[str, Any] = _visible(known)
    for path in expand:
        parts = path.split(".")
        if len(parts) > DEEPEST:
            raise invalid(f"You cannot expand more than {DEEPEST} levels of a property: {path}", "expand")
        _expand(world, sent, parts, path)
    return sent


def page(world: "World", found: Iterable["Object"], url: str, params: dict[str, Any]) -> dict[str, Any]:
    """One page of a list, newest first, from ``starting_after`` or up to ``ending_before``."""
    rows = sorted(found, key=world.place, reverse=True)
    limit = params.get("limit") or DEFAULT_LIMIT
    if params.get("ending_before"):
        newer = rows[:_index(rows, params["ending_before"], "ending_before")]
        rows, more = newer[-limit:], len(newer) > limit
    else:
        start = _index(rows, params["starting_after"], "starting_after") + 1 if params.get("starting_after") else 0
        rows, more = rows[start:start + limit], len(rows) > start + limit
    expand = params.get("expand") or []
    for path in expand:
        if not path.startswith("data."):
            raise _not_expandable(path)
    inner = [path.removeprefix("data.") for path in expand]
    return {"object": "list", "data": [render(world, row, inner) for row in rows], "has_more": more, "url": url}


def listed(rows: list[Any], url: str) -> dict[str, Any]:
    """A list inside an object, all of it."""
    return {"object": "list", "data": rows, "has_more": False, "total_count": len(rows), "url": url}


def _index(rows: list["Object"], object_id: str, name: str) -> int:
    for index, row in enumerate(rows):
        if row["id"] == object_id:
            return index
    raise no_such("object", object_id, name)


def _visible(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: dict(part) if key == "metadata" and part else _visible(part)
                for key, part in value.items() if not key.startswith("_")}
    if isinstance(value, list):
        return [_visible(part) for part in value]
    return copy.copy(value)


def _expand(world: "World", sent: Any, parts: list[str], path: str) -> None:
    if isinstance(sent, list):
        for part in sent:
            _expand(world, part, parts, path)
        return
    name, rest = parts[0], parts[1:]
    if not isinstance(sent, dict):
        raise _not_expandable(path)
    include = INCLUDABLE.get((sent.get("object", ""), name))
    if include is not None and name not in sent:
        sent[name] = include(world, sent)
    if name not in sent or name == "id":
        raise _not_expandable(path)
    sent[name] = _opened(world, sent[name], last=not rest, path=path)
    if rest and sent[name] is not None:
        _expand(world, sent[name], rest, path)


def _opened(world: "World", value: Any, *, last: bool, path: str) -> Any:
    """Ids become their objects; what is already there stays, and a plain text cannot be opened."""
    if isinstance(value, list):
        return [_opened(world, part, last=last, path=path) for part in value]
    if isinstance(value, str):
        if value not in world.objects:
            raise _not_expandable(path)
        return _visible(world.get(value))
    if last and not (value is None or isinstance(value, dict)):
        raise _not_expandable(path)
    return value


def _not_expandable(path: str) -> Exception:
    return invalid(f"This property cannot be expanded ({path}). You may want to try expanding it without a prefix or "
                   "removing it.", "expand")


def _payments(world: "World", invoice: dict[str, Any]) -> dict[str, Any]:
    rows = [_visible(row) for row in world.of_kind("invoice_payment") if row["invoice"] == invoice["id"]]
    return listed(rows, f"/v1/invoice_payments?invoice={invoice['id']}")


def _secret(world: "World", invoice: dict[str, Any]) -> dict[str, Any] | None:
    intents = [world.get(row["payment"]["payment_intent"]) for row in world.of_kind("invoice_payment")
               if row["invoice"] == invoice["id"]]
    return {"type": "payment_intent", "client_secret": intents[-1]["client_secret"]} if intents else None


def _line_items(world: "World", session: dict[str, Any]) -> dict[str, Any]:
    return listed(_visible(world.get(session["id"])["_line_items"]),
                  f"/v1/checkout/sessions/{session['id']}/line_items")


def _refunds(world: "World", charge: dict[str, Any]) -> dict[str, Any]:
    rows = [_visible(row) for row in world.of_kind("refund") if row["charge"] == charge["id"]]
    return listed(rows[::-1], f"/v1/charges/{charge['id']}/refunds")


def _subscriptions(world: "World", customer: dict[str, Any]) -> dict[str, Any]:
    rows = [_visible(row) for row in world.of_kind("subscription")
            if row["customer"] == customer["id"] and row["status"] not in ("canceled", "incomplete_expired")]
    return listed(rows[::-1], f"/v1/customers/{customer['id']}/subscriptions")


def _currencies(world: "World", price: dict[str, Any]) -> dict[str, Any]:
    amounts = {price["currency"]: price["unit_amount"], **world.get(price["id"]).get("_options", {})}
    return {currency: {"custom_unit_amount": None, "tax_behavior": price["tax_behavior"], "unit_amount": amount,
                       "unit_amount_decimal": str(amount)} for currency, amount in amounts.items()}


INCLUDABLE: dict[tuple[str, str], Callable[["World", dict[str, Any]], Any]] = {
    ("invoice", "payments"): _payments, ("invoice", "confirmation_secret"): _secret,
    ("checkout.session", "line_items"): _line_items, ("charge", "refunds"): _refunds,
    ("customer", "subscriptions"): _subscriptions, ("price", "currency_options"): _currencies,
}
