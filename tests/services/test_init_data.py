"""Launch data: what Telegram signed is read, everything else is InvalidInitData and nothing else."""

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services import init_data
from services.errors import InvalidInitData
from services.init_data import LaunchParams

TOKEN = "123456789:AAtest_token_of_the_suite_0123456789abc"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
USER = {"id": 279058397, "first_name": "Zoë & Co", "last_name": "O'Neil + Söhne", "username": "zoe",
        "language_code": "en", "is_premium": True, "photo_url": "https://t.me/i/userpic/320/x.svg"}


def fields_of(**changes: Any) -> dict[str, str]:
    fields = {"query_id": "AAHdF6IQAAAAAN0XohDhrOrc", "user": json.dumps(USER), "auth_date": str(SECONDS),
              "signature": "mKZ7tBzxuJcUmbHHPmVMYcO5dkPcFLaTfzZgC7yyrzhZ9rCEbUUdvOqB-rV3Z4a1p8Y2qZYyOCyQ1FSZzVIyDg"}
    return {key: value for key, value in {**fields, **changes}.items() if value is not None}


def hash_of(fields: dict[str, str], token: str = TOKEN) -> str:
    """As Telegram's page tells it: every field but ``hash``, sorted, one a line."""
    lines = "\n".join(f"{key}={value}" for key, value in sorted(fields.items()))
    secret = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    return hmac.new(secret, lines.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def signed(fields: dict[str, str], token: str = TOKEN) -> str:
    return urlencode({**fields, "hash": hash_of(fields, token)}, errors="surrogatepass")


def verify(raw: str, now: datetime = NOW) -> LaunchParams:
    return init_data.verify(raw, TOKEN, now, max_age_seconds=3600, max_future_seconds=60)


def refused(raw: str) -> bool:
    """Whether it is refused in the one typed way; any other exception fails the test."""
    try:
        verify(raw)
    except InvalidInitData:
        return True
    return False


GOOD = signed(fields_of())


def test_what_telegram_signed_is_read() -> None:
    found = verify(signed(fields_of(start_param="ref-7", chat_type="private")))
    assert (found.user.telegram_id, found.user.first_name) == (279058397, "Zoë & Co")
    assert (found.user.last_name, found.user.username, found.user.language_code) == ("O'Neil + Söhne", "zoe", "en")
    assert (found.auth_date, found.start_param) == (SECONDS, "ref-7")


def test_the_signature_field_is_part_of_what_is_hashed() -> None:
    fields = fields_of()
    without = {key: value for key, value in fields.items() if key != "signature"}
    assert refused(urlencode({**fields, "hash": hash_of(without)}))
    assert refused(urlencode({**without, "hash": hash_of(fields)}))
    assert not refused(signed(without))


@pytest.mark.parametrize(("seconds", "accepted"), [
    (0, True), (3600, True), (3601, False), (86_400, False), (SECONDS, False), (-60, True), (-61, False),
    (-10**9, False),
])
def test_age_counts_in_both_directions(seconds: int, accepted: bool) -> None:
    assert refused(signed(fields_of(auth_date=str(SECONDS - seconds)))) is not accepted


@pytest.mark.parametrize("auth_date", [
    None, "", "0", "-1", "1e9", "１７０００００００", "١", " 1772366400", "1772366400 ", "+1772366400", "1_772_366_400",
    "01772366400", "1772366400.0", "0x69A42C40", "9" * 20, "9" * 5000, "nan", "true",
])
def test_dates_out_of_form_are_refused(auth_date: str | None) -> None:
    assert refused(signed(fields_of(auth_date=auth_date)))


@pytest.mark.parametrize("user", [
    None, "", "null", "[]", "{}", '"x"', "1", "{", "NaN", "[" * 3000, '{"a":' * 600, json.dumps({**USER, "id": True}),
    json.dumps({**USER, "id": 1.0}), json.dumps({**USER, "id": "279058397"}), json.dumps({**USER, "id": 0}),
    json.dumps({**USER, "id": -5}), json.dumps({**USER, "id": 2**63}), json.dumps({**USER, "id": 2**52}),
    '{"id":' + "9" * 3000 + ',"first_name":"a"}', json.dumps({**USER, "is_bot": True}),
    json.dumps({**USER, "first_name": None}), json.dumps({**USER, "first_name": ["a"]}),
    json.dumps({**USER, "first_name": "a" * 257}), json.dumps({**USER, "first_name": "\ud800"}),
    json.dumps({**USER, "username": 7}), json.dumps({**USER, "username": "u" * 65}),
    json.dumps({**USER, "language_code": "x" * 17}), '{"id":1e400,"first_name":"a"}',
])
def test_users_that_telegram_would_not_send_are_refused(user: str | None) -> None:
    assert refused(signed(fields_of(user=user)))


@pytest.mark.parametrize("given_hash", [
    None, "", "0" * 63, "0" * 65, "0" * 64, "é" * 64, "\ud800", "٠" * 64, hash_of(fields_of()).upper(),
    hash_of(fields_of()) + "\n", " " + hash_of(fields_of()), hash_of(fields_of())[:-1], hash_of(fields_of()) + "0",
    hash_of(fields_of(), "987654321:AAanother_bot_of_someone_else_0123456789"),
])
def test_wrong_hashes_are_refused(given_hash: str | None) -> None:
    fields = fields_of()
    if given_hash is not None:
        fields["hash"] = given_hash
    assert refused(urlencode(fields, errors="surrogatepass"))


def test_other_ways_to_key_the_hash_are_refused() -> None:
    fields = fields_of()
    lines = "\n".join(f"{key}={value}" for key, value in sorted(fields.items())).encode()
    swapped = hmac.new(TOKEN.encode(), b"WebAppData", hashlib.sha256).digest()
    login_widget = hashlib.sha256(TOKEN.encode()).digest()
    for secret in (swapped, login_widget, TOKEN.encode(), b"WebAppData", b""):
        given_hash = hmac.new(secret, lines, hashlib.sha256).hexdigest()
        assert refused(urlencode({**fields, "hash": given_hash}))


@pytest.mark.parametrize("extra", ["user=%7B%22id%22%3A1%2C%22first_name%22%3A%22x%22%7D", "auth_date=1", "hash=0",
                                   "query_id=AAHdF6IQAAAAAN0XohDhrOrc"])
def test_duplicate_keys_are_refused_wherever_they_stand(extra: str) -> None:
    assert refused(f"{extra}&{GOOD}")
    assert refused(f"{GOOD}&{extra}")


def test_control_characters_cannot_make_the_lines_ambiguous() -> None:
    fields = fields_of()
    merged = {"query_id": fields["query_id"] + "\nsignature=" + fields["signature"], "user": fields["user"],
              "auth_date": fields["auth_date"]}
    # Both have the same lines and so the same hash; only one of them is what Telegram sent.
    forged = urlencode({**merged, "hash": hash_of(fields)})
    assert sorted(f"{k}={v}" for k, v in fields.items())[1] in "\n".join(sorted(f"{k}={v}" for k, v in merged.items()))
    assert refused(forged)


@pytest.mark.parametrize("character", ["\n", "\r", "\t", "\x00", "\x1f", "\x7f", "\x85", "\u2028", "\u2029"])
def test_control_characters_are_refused_even_when_signed(character: str) -> None:
    assert refused(signed(fields_of(start_param=f"a{character}b")))
    assert refused(GOOD + character)
    assert refused(signed({**fields_of(), f"k{character}": "v"}))


@pytest.mark.parametrize("raw", [
    "", "&", "=", "hash", "&" * 50, GOOD + "&", "&" + GOOD, GOOD + "&novalue", GOOD + "&%FF=1", GOOD + "&a=%FF",
    GOOD + "&a=%ED%A0%80", "a=1&" * 33 + GOOD, GOOD + "&a=" + "x" * 5000, GOOD.replace("&", ";"), quote(GOOD),
    "?" + GOOD, "#" + GOOD, json.dumps(USER), GOOD + "é", GOOD + "\ud800", GOOD + "&A=1", GOOD + "&a.b=1",
])
def test_other_texts_are_refused(raw: str) -> None:
    assert refused(raw)


def test_every_bit_of_the_hash_counts() -> None:
    start = GOOD.index("hash=") + len("hash=")
    for place in range(start, start + 64):
        for digit in "0123456789abcdef":
            altered = GOOD[:place] + digit + GOOD[place + 1:]
            assert altered == GOOD or refused(altered)


def reading(raw: str) -> list[tuple[str, str]] | None:
    """Another reader's opinion of the fields, to tell a change of writing from a change of meaning."""
    try:
        return sorted(parse_qsl(raw, keep_blank_values=True, strict_parsing=True, errors="strict"))
    except ValueError:
        return None


PLACES = st.integers(min_value=0, max_value=len(GOOD))
PIECES = st.one_of(
    st.characters(), st.text(max_size=6), st.sampled_from(GOOD.split("&")),
    st.sampled_from(["&", "=", "%", "%0A", "%00", "+", "&hash=", "&user={}", "%ED%A0%80", "\ud800", "#", "é"]))


@settings(max_examples=3000, deadline=None)
@given(place=PLACES, length=st.integers(0, 12), piece=PIECES)
@example(place=0, length=0, piece='user={"id":1,"first_name":"x"}&')
def test_no_mutation_with_another_meaning_is_accepted(place: int, length: int, piece: str) -> None:
    raw = GOOD[:place] + piece + GOOD[place + length:]
    if not refused(raw):
        assert reading(raw) == reading(GOOD)


@settings(max_examples=1000, deadline=None)
@given(st.text(max_size=200) | st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=5).map(
    lambda fields: urlencode({**fields, "hash": "0" * 64}, errors="surrogatepass")))
def test_nothing_made_up_is_accepted(raw: str) -> None:
    assert refused(raw)


@settings(max_examples=600, deadline=None)
@given(user=st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
                         lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
                         max_leaves=8),
       field=st.sampled_from(["id", "first_name", "last_name", "username", "language_code", "is_bot", "whole"]))
def test_even_a_signed_user_of_any_shape_is_read_or_refused(user: Any, field: str) -> None:
    text = json.dumps(user if field == "whole" else {**USER, field: user})
    try:
        found = verify(signed(fields_of(user=text)))
    except InvalidInitData:
        return
    assert type(found.user.telegram_id) is int and 0 < found.user.telegram_id < 2**52
    assert not re.search("[\x00\ud800-\udfff]", found.user.first_name)
