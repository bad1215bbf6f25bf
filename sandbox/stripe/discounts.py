"""Coupons and promotion codes applied: to a checkout, a subscription, and the lines of an invoice."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from sandbox.stripe import currencies
from sandbox.stripe.clock import after
from sandbox.stripe.errors import invalid
from sandbox.stripe.world import Object, World


def check(world: World, given: dict[str, Any], name: str, *, customer: str | None = None) -> tuple[Object, str | None]:
    """The coupon and the promotion code a ``discounts`` entry names, if both may be redeemed now."""
    code_id = given.get("promotion_code")
    if code_id is None:
        return _redeemable(world, world.find("coupon", given.get("coupon") or "", f"{name}[coupon]"), name), None
    code = world.find("promotion_code", code_id, f"{name}[promotion_code]")
    expired = code["expires_at"] is not None and code["expires_at"] <= world.now()
    used = code["max_redemptions"] is not None and code["times_redeemed"] >= code["max_redemptions"]
    if not code["active"] or expired or used or code["customer"] not in (None, customer):
        raise invalid("This promotion code is expired or cannot be redeemed.", f"{name}[promotion_code]",
                      "promotion_code_expired")
    return _redeemable(world, world.get(code["promotion"]["coupon"]), name), code["id"]


def redeem(world: World, coupon: Object, code_id: str | None, *, customer: str, subscription: str,
           session: str | None) -> Object:
    """A discount on the subscription from now on, for as long as the coupon says."""
    now = world.now()
    months = coupon["duration_in_months"]
    for redeemed in (coupon, world.get(code_id) if code_id else None):
        if redeemed is not None:
            redeemed["times_redeemed"] += 1
            world.save(redeemed)
    if coupon["max_redemptions"] is not None:
        coupon["valid"] = coupon["times_redeemed"] < coupon["max_redemptions"]
    discount = world.new(
        "discount", "di_1", checkout_session=session, customer=customer, invoice=None, invoice_item=None,
        end=after(now, "month", months) if months else None, promotion_code=code_id, start=now,
        source={"type": "coupon", "coupon": coupon["id"]}, subscription=subscription, subscription_item=None)
    world.emit("customer.discount.created", discount)
    return discount


def live(world: World, ids: list[str], at: int) -> list[str]:
    """Those discounts that still hold at this time."""
    return [one for one in ids if world.get(one)["end"] is None or world.get(one)["end"] > at]


def after_first_invoice(world: World, ids: list[str]) -> list[str]:
    """What stays once an invoice was made: coupons that hold once are spent."""
    return [one for one in ids if world.get(world.get(one)["source"]["coupon"])["duration"] != "once"]


def amount_off(coupon: Object, subtotal: int, currency: str) -> int:
    """How much the coupon takes off a positive sum, in minor units; a credit is discounted likewise."""
    if coupon["percent_off"] is not None:
        share = Decimal(subtotal) * Decimal(str(coupon["percent_off"])) / 100
        return currencies.nearest(Fraction(share.quantize(Decimal(1), rounding=ROUND_HALF_UP)), currency)
    return min(max(subtotal, 0), coupon["amount_off"]) if coupon["currency"] == currency else 0


def apply(world: World, ids: list[str], lines: list[Object]) -> list[dict[str, Any]]:
    """Put each discount's share on the lines; returns the sums for the invoice."""
    totals = []
    for one in ids:
        coupon = world.get(world.get(one)["source"]["coupon"])
        total = 0
        for line in lines:
            net = line["amount"] - sum(part["amount"] for part in line["discount_amounts"])
            off = amount_off(coupon, net, line["currency"])
            if coupon["amount_off"] is not None:
                off = min(off, coupon["amount_off"] - total)
            line["discount_amounts"].append({"amount": off, "discount": one})
            total += off
        totals.append({"amount": total, "discount": one})
    return totals


def _redeemable(world: World, coupon: Object, name: str) -> Object:
    expired = coupon["redeem_by"] is not None and coupon["redeem_by"] <= world.now()
    if not coupon["valid"] or expired:
        raise invalid(f"Coupon expired: {coupon['id']}", f"{name}[coupon]", "coupon_expired")
    return coupon
