"""Stripe's signatures: ours agrees with the vendor's own library, and closes what that leaves open."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from runtime.strict_json import InvalidJson
from services import stripe_events
from services.errors import InvalidSignature

SECRET, OTHER = "whsec_current_secret_1", "whsec_previous_secret"
BODY = json.dumps({"id": "evt_1", "type": "invoice.paid", "created": 1_790_000_000, "livemode": False,
                   "api_version": "2026-10-28.endive",
                   "data": {"object": {"id": "in_1", "object": "invoice"}}}).encode()


def header(raw: bytes, now: datetime, secret: str = SECRET) -> str:
    """Signed by the vendor's own code."""
    found: Any = stripe.WebhookSignature.generate_signature_header(raw.decode(), secret, timestamp=int(now.timestamp()))
    return str(found)


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def test_what_the_vendor_signs_is_accepted(now: datetime) -> None:
    stripe_events.verify(BODY, header(BODY, now), [SECRET], now)
    stripe_events.verify(BODY, header(BODY, now, OTHER), [SECRET, OTHER], now)
    both = header(BODY, now, OTHER) + ",v0=abc,v1=" + header(BODY, now).rsplit("=", 1)[1]
    stripe_events.verify(BODY, both, [SECRET], now)


@pytest.mark.parametrize(("age", "is_fine"), [(299, True), (301, False), (-59, True), (-61, False), (-86_400, False)])
def test_time_is_checked_in_both_directions(now: datetime, age: int, is_fine: bool) -> None:
    signed = header(BODY, now - timedelta(seconds=age))
    if is_fine:
        stripe_events.verify(BODY, signed, [SECRET], now)
    else:
        with pytest.raises(InvalidSignature):
            stripe_events.verify(BODY, signed, [SECRET], now)


def test_one_bit_anywhere_in_body_or_signature_is_refused(now: datetime) -> None:
    good = header(BODY, now)
    for at in range(len(BODY)):
        changed = BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1:]
        with pytest.raises(InvalidSignature):
            stripe_events.verify(changed, good, [SECRET], now)
    start = good.index("v1=") + 3
    for at in range(start, len(good)):
        flipped = good[:at] + ("0" if good[at] != "0" else "1") + good[at + 1:]
        with pytest.raises(InvalidSignature):
            stripe_events.verify(BODY, flipped, [SECRET], now)


@pytest.mark.parametrize("odd", [
    "", "t=1", "v1=abc", "t=,v1=", "garbage", "t=1,t=2,v1=" + "0" * 64, "v0=" + "0" * 64, "t=١,v1=" + "0" * 64,
    "t=1,v1=" + "é" * 64, "t=1,v1=" + "A" * 64, ("t=1," + "v1=" + "0" * 64 + ",") * 100, "t=-1,v1=" + "0" * 64])
def test_odd_headers_are_one_refusal(now: datetime, odd: str) -> None:
    with pytest.raises(InvalidSignature):
        stripe_events.verify(BODY, odd, [SECRET], now)


def test_without_a_secret_nothing_is_accepted(now: datetime) -> None:
    for secrets in ([], [""], [OTHER]):
        with pytest.raises(InvalidSignature):
            stripe_events.verify(BODY, header(BODY, now, SECRET), secrets, now)


@pytest.mark.parametrize("change", [
    {"id": None}, {"id": "x_1"}, {"id": 5}, {"type": None}, {"created": "now"}, {"created": -1}, {"data": None},
    {"data": {}}, {"data": {"object": []}}, {"data": []}])
def test_what_is_no_event_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidJson):
        stripe_events.parse(json.dumps({**json.loads(BODY), **change}).encode())


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b"null", b'"evt_1"', b"{}"])
def test_odd_bodies_are_refused(raw: bytes) -> None:
    with pytest.raises(InvalidJson):
        stripe_events.parse(raw)


def test_events_of_one_subscription_share_their_subject() -> None:
    def about(subject: dict[str, Any]) -> str:
        return stripe_events.parse(json.dumps({**json.loads(BODY), "data": {"object": subject}}).encode()).subject

    assert about({"id": "sub_1", "object": "subscription"}) == "sub_1"
    assert about({"id": "cs_1", "object": "checkout.session", "subscription": "sub_1"}) == "sub_1"
    details = {"subscription_details": {"subscription": "sub_1"}}
    assert about({"id": "in_1", "object": "invoice", "parent": details}) == "sub_1"
    assert about({"id": "in_2", "object": "invoice", "parent": None}) == "in_2"
