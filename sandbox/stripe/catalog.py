"""Products and prices, coupons and promotion codes."""

import re
from typing import Any

from sandbox.stripe import currencies
from sandbox.stripe.calls import METADATA, Call, Route, fill, fill_metadata, route, updated, within
from sandbox.stripe.errors import invalid
from sandbox.stripe.rendering import page
from sandbox.stripe.shapes import PAGE, anything, fields, flag, list_of, moment, number, one_of, span, text, whole
from sandbox.stripe.world import Object, World, new_id

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_CODE = re.compile(r"[A-Za-z0-9-]{1,100}")


def create_product(call: Call) -> Object:
    world, params = call.world, call.params
    object_id = params.get("id")
    if object_id is not None and (not _ID.fullmatch(object_id) or object_id in world.objects):
        raise invalid(f"Product already exists or has no valid id: {object_id}", "id", "resource_already_exists")
    now = world.now()
    product = world.new(
        "product", "prod_", object_id=object_id, active=params.get("active", True), created=now, default_price=None,
        description=params.get("description"), images=[], livemode=False, marketing_features=[], metadata={},
        name=params["name"], package_dimensions=None, shippable=None, statement_descriptor=None,
        tax_code=params.get("tax_code"), type="service", unit_label=None, updated=now, url=None)
    fill_metadata(product, params.get("metadata"), present="metadata" in params)
    world.emit("product.created", product)
    return product


def create_price(call: Call) -> Object:
    world, params = call.world, call.params
    currency = currencies.known(params["currency"])
    amount = params.get("unit_amount")
    if amount is None:
        raise invalid("Missing required param: unit_amount.", "unit_amount", "parameter_missing")
    currencies.check_amount(amount, currency, "unit_amount")
    product = _product_of_price(world, params)
    recurring = params.get("recurring")
    _claim_lookup_key(world, params.get("lookup_key"), transfer=bool(params.get("transfer_lookup_key")))
    price = world.new(
        "price", "price_1", active=params.get("active", True), billing_scheme="per_unit", created=world.now(),
        currency=currency, custom_unit_amount=None, livemode=False, lookup_key=params.get("lookup_key"), metadata={},
        nickname=params.get("nickname"), product=product,
        recurring=recurring and {"interval": recurring["interval"], "interval_count": recurring.get("interval_count")
                                 or 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"},
        tax_behavior=params.get("tax_behavior", "unspecified"), tiers_mode=None, transform_quantity=None,
        type="recurring" if recurring else "one_time", unit_amount=amount, unit_amount_decimal=str(amount),
        _options=_options(params.get("currency_options") or {}))
    fill_metadata(price, params.get("metadata"), present="metadata" in params)
    world.emit("price.created", price)
    return price


def update_price(call: Call) -> Object:
    price = call.world.find("price", call.ids[0])
    if call.params.get("lookup_key") not in (None, price["lookup_key"]):
        _claim_lookup_key(call.world, call.params["lookup_key"], transfer=bool(call.params.get("transfer_lookup_key")))
    price["_options"] = {**price.get("_options", {}), **_options(call.params.get("currency_options") or {})}
    changed = updated(call, "price", "price.updated", "active", "lookup_key", "nickname", "tax_behavior")
    _show_in_subscriptions(call.world, changed)
    return changed


def _options(given: dict[str, Any]) -> dict[str, int]:
    """Amounts in other currencies, by currency."""
    found = {}
    for code, option in given.items():
        currency, name = currencies.known(code, f"currency_options[{code}]"), f"currency_options[{code}][unit_amount]"
        found[currency] = whole(0)(option.get("unit_amount") if isinstance(option, dict) else None, name)
        currencies.check_amount(found[currency], currency, name)
    return found


def list_prices(call: Call) -> dict[str, Any]:
    params = call.params
    keys = params.get("lookup_keys")
    found = [price for price in call.world.of_kind("price")
             if params.get("active") in (None, price["active"]) and params.get("type") in (None, price["type"])
             and params.get("currency") in (None, price["currency"])
             and params.get("product") in (None, price["product"])
             and (keys is None or price["lookup_key"] in keys)]
    return page(call.world, found, call.path, params)


def create_coupon(call: Call) -> Object:
    world, params = call.world, call.params
    percent, amount = params.get("percent_off"), params.get("amount_off")
    if (percent is None) == (amount is None):
        raise invalid("You must pass either percent_off or amount_off, and not both.", "percent_off")
    if percent is not None and not 0 < percent <= 100:
        raise invalid("percent_off must be between 0 and 100.", "percent_off")
    if amount is not None and not params.get("currency"):
        raise invalid("You must pass currency when passing amount_off", "currency", "parameter_missing")
    if params.get("id") in world.objects:
        raise invalid("Coupon already exists.", "id", "resource_already_exists")
    if params.get("duration") == "repeating" and not params.get("duration_in_months"):
        raise invalid("You must pass duration_in_months when passing duration=repeating", "duration_in_months")
    coupon = world.new(
        "coupon", object_id=params.get("id") or new_id("", 8), amount_off=amount, created=world.now(),
        currency=currencies.known(params["currency"]) if params.get("currency") else None,
        duration=params.get("duration") or "once", duration_in_months=params.get("duration_in_months"),
        livemode=False, max_redemptions=params.get("max_redemptions"), metadata={}, name=params.get("name"),
        percent_off=float(percent) if percent is not None else None, redeem_by=params.get("redeem_by"),
        times_redeemed=0, valid=True)
    fill_metadata(coupon, params.get("metadata"), present="metadata" in params)
    world.emit("coupon.created", coupon)
    return coupon


def create_promotion_code(call: Call) -> Object:
    world, params = call.world, call.params
    coupon = world.find("coupon", params["promotion"]["coupon"], "promotion[coupon]")
    code = params.get("code") or new_id("", 8).upper()
    if not _CODE.fullmatch(code):
        raise invalid("Promotion codes may only contain letters, digits and dashes.", "code")
    if promotion_by_code(world, code) is not None:
        raise invalid(f"An active promotion code with `code: {code}` already exists.", "code",
                      "resource_already_exists")
    promotion = world.new(
        "promotion_code", "promo_1", active=params.get("active", True), code=code, created=world.now(),
        customer=params.get("customer"), expires_at=params.get("expires_at"), livemode=False,
        max_redemptions=params.get("max_redemptions"), metadata={}, promotion={"type": "coupon",
                                                                             "coupon": coupon["id"]},
        restrictions={"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None},
        times_redeemed=0)
    fill_metadata(promotion, params.get("metadata"), present="metadata" in params)
    world.emit("promotion_code.created", promotion)
    return promotion


def promotion_by_code(world: World, code: str) -> Object | None:
    """The active promotion code customers type, whatever its case."""
    return next((known for known in world.of_kind("promotion_code")
                 if known["active"] and known["code"].lower() == code.lower()), None)


def list_promotion_codes(call: Call) -> dict[str, Any]:
    params = call.params
    found = [known for known in call.world.of_kind("promotion_code")
             if params.get("active") in (None, known["active"])
             and (params.get("code") or known["code"]).lower() == known["code"].lower()
             and params.get("coupon") in (None, known["promotion"]["coupon"])]
    return page(call.world, found, call.path, params)


def _product_of_price(world: World, params: dict[str, Any]) -> str:
    if params.get("product"):
        return str(world.find("product", params["product"], "product")["id"])
    if not params.get("product_data"):
        raise invalid("You must pass either product or product_data.", "product", "parameter_missing")
    return str(create_product(Call(world, (), dict(params["product_data"]), "/v1/products"))["id"])


def _claim_lookup_key(world: World, key: str | None, *, transfer: bool) -> None:
    for price in world.of_kind("price"):
        if key is None or price["lookup_key"] != key:
            continue
        if not transfer:
            raise invalid(f"A price ({price['id']}) already uses that lookup key.", "lookup_key",
                          "resource_already_exists")
        before = world.shown(price)
        fill(price, {"lookup_key": None}, "lookup_key")
        world.save(price)
        _show_in_subscriptions(world, price)
        world.emit("price.updated", price, before)


def _show_in_subscriptions(world: World, price: Object) -> None:
    """Subscriptions show their price as it is now, not as it was when they began."""
    for subscription in world.of_kind("subscription"):
        for item in subscription["items"]["data"]:
            if item["price"]["id"] == price["id"]:
                item["price"] = world.shown(price)
                world.save(subscription)


def _listing(kind: str) -> Any:
    def handler(call: Call) -> dict[str, Any]:
        found = [known for known in call.world.of_kind(kind)
                 if within(known["created"], call.params.get("created"))
                 and call.params.get("active") in (None, known.get("active"))]
        return page(call.world, found, call.path, call.params)
    return handler


_PRODUCT: Any = {"name": text(), "active": flag, "description": text(), "tax_code": text(),
                 "unit_label": text(), **METADATA}
_PRICE: Any = {"active": flag, "lookup_key": text(200), "transfer_lookup_key": flag, "nickname": text(),
               "tax_behavior": one_of("exclusive", "inclusive", "unspecified"), "currency_options": anything,
               **METADATA}
ROUTES: list[Route] = [
    route("POST", "/v1/products", create_product, "name", id=text(), images=anything, **_PRODUCT),
    route("GET", "/v1/products", _listing("product"), active=flag, created=span, ids=list_of(text()), **PAGE),
    route("GET", "/v1/products/{id}", lambda call: call.world.find("product", call.ids[0])),
    route("POST", "/v1/products/{id}", lambda call: updated(
        call, "product", "product.updated", "name", "active", "description", "tax_code", "unit_label"), **_PRODUCT),
    route("POST", "/v1/prices", create_price, "currency", currency=text(3), unit_amount=whole(0), product=text(),
          product_data=fields("name", id=text(), **_PRODUCT),
          recurring=fields("interval", interval=one_of("day", "week", "month", "year"),
                           interval_count=whole(1, 36), usage_type=one_of("licensed")), **_PRICE),
    route("GET", "/v1/prices", list_prices, active=flag, currency=text(3), product=text(), created=span,
          type=one_of("one_time", "recurring"), lookup_keys=list_of(text(200), 10), recurring=anything, **PAGE),
    route("GET", "/v1/prices/{id}", lambda call: call.world.find("price", call.ids[0])),
    route("POST", "/v1/prices/{id}", update_price, **_PRICE),
    route("POST", "/v1/coupons", create_coupon, id=text(200), percent_off=number, amount_off=whole(1),
          currency=text(3), duration=one_of("forever", "once", "repeating"), duration_in_months=whole(1),
          max_redemptions=whole(1), name=text(40), redeem_by=moment, **METADATA),
    route("GET", "/v1/coupons", _listing("coupon"), created=span, **PAGE),
    route("GET", "/v1/coupons/{id}", lambda call: call.world.find("coupon", call.ids[0])),
    route("POST", "/v1/promotion_codes", create_promotion_code, "promotion", code=text(500), active=flag,
          promotion=fields("type", "coupon", type=one_of("coupon"), coupon=text()), customer=text(),
          expires_at=moment, max_redemptions=whole(1), restrictions=anything, **METADATA),
    route("GET", "/v1/promotion_codes", list_promotion_codes, active=flag, code=text(500), coupon=text(),
          customer=text(), created=span, **PAGE),
    route("GET", "/v1/promotion_codes/{id}", lambda call: call.world.find("promotion_code", call.ids[0])),
    route("POST", "/v1/promotion_codes/{id}", lambda call: updated(
        call, "promotion_code", "promotion_code.updated", "active"), active=flag, **METADATA),
]
