"""The doors of billing in detail: odd requests, impatient ones, and Stripe in trouble."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from config import Settings
from sandbox.stripe.faults import Fault
from services.payments.protocol import Money
from tests.billing.conftest import SECRET, Till
from tests.billing.test_webhook import PATH, event, send, sign

SESSIONS = "POST /v1/checkout/sessions"


@pytest.fixture(autouse=True)
async def prices(till: Till) -> None:
    await till.payments.ensure_price("premium", Money(2999, "usd"))


async def in_chunks(raw: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(raw), 65_536):
        yield raw[start:start + 65_536]


async def test_a_body_without_a_length_has_a_limit_too(till: Till) -> None:
    good = event({"id": "x_1", "object": "mystery"}, "mystery.happened")
    large = event({"id": "x_2", "object": "mystery", "text": "x" * (512 * 1024)}, "mystery.happened")
    for raw, expected in ((good, 200), (large, 413)):
        headers = {"Content-Type": "application/json", "Stripe-Signature": sign(raw)}
        async with till.client.post(f"{till.base}{PATH}", data=in_chunks(raw), headers=headers) as answer:
            assert answer.status == expected


@pytest.mark.parametrize(("content_type", "expected"), [
    ("application/json; charset=utf-8", 200), ("application/x-www-form-urlencoded", 415), ("", 415),
    ("application/jsonx", 415)])
async def test_only_json_is_taken(till: Till, content_type: str, expected: int) -> None:
    raw = event({"id": "x_1", "object": "mystery"}, "mystery.happened")
    assert (await send(till, raw, **{"Content-Type": content_type}))[0] == expected


async def test_only_post_is_taken(till: Till) -> None:
    async with till.client.get(f"{till.base}{PATH}") as answer:
        assert answer.status == 405


class TestWhileSecretsRotate:
    OTHER = "whsec_the_next_one_0123456789"

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"stripe_webhook_secrets": (SecretStr(self.OTHER), SecretStr(SECRET))})

    async def test_both_are_good_and_no_third(self, till: Till) -> None:
        raw = event({"id": "x_1", "object": "mystery"}, "mystery.happened")
        assert await send(till, raw, sign(raw, secret=self.OTHER)) == (200, {"received": True})
        assert await send(till, raw, sign(raw, secret=SECRET)) == (200, {"duplicate": True})
        assert (await send(till, raw, sign(raw, secret="whsec_retired_0123456789")))[0] == 400


async def test_who_asks_while_it_is_under_way_is_told_when_to_come_back(till: Till) -> None:
    _, token = await till.person()
    till.standin.faults.add(Fault("slow", 1, SESSIONS, 3.0))
    first = asyncio.create_task(till.call("POST", "/checkout", token, {"tier": "premium"}, "k"))

    async def asked() -> Any:
        return [waiting for waiting in till.standin.faults.waiting() if waiting["on"] == SESSIONS]

    while await asked():
        await asyncio.sleep(0.01)
    status, problem, headers = await till.call("POST", "/checkout", token, {"tier": "premium"}, "k")
    assert (status, problem["code"], headers["Retry-After"]) == (409, "in_progress", "1")
    assert (await first)[0] == 201


async def test_a_failure_that_passes_costs_nothing(till: Till) -> None:
    user, token = await till.person()
    till.standin.faults.add(Fault("500", 2, SESSIONS))
    status, made, _ = await till.call("POST", "/checkout", token, {"tier": "premium"}, "k")
    assert status == 201
    await till.control(f"/checkout/{made['url'].rstrip('/').rsplit('/', 1)[-1].split('?')[0]}/pay")
    await till.becomes(user, "premium")
    await till.booked(1)


async def test_keys_of_different_people_have_nothing_to_do_with_each_other(till: Till) -> None:
    (_, one), (_, other) = await till.person(9001), await till.person(9002)
    first = await till.call("POST", "/checkout", one, {"tier": "premium"}, "same")
    second = await till.call("POST", "/checkout", other, {"tier": "premium"}, "same")
    assert first[0] == second[0] == 201 and first[1]["url"] != second[1]["url"]
    assert "Idempotent-Replayed" not in second[2]


async def test_a_replay_is_the_same_to_the_byte(till: Till) -> None:
    _, token = await till.person()
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "k", "Content-Type": "application/json"}
    answers = []
    for _ in range(2):
        async with till.client.post(f"{till.base}/api/v1/billing/checkout", headers=headers,
                                    data=json.dumps({"tier": "premium"})) as answer:
            answers.append((answer.status, await answer.read(), answer.headers["Content-Type"]))
    assert answers[0] == answers[1]
