"""Requests that lie about their body, their sender or what they have seen: refused in one shape, never a 500."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from services import providers
from services.vault import Vault
from tests.webapp.conftest import Door
from webapp import bodies, openapi

NOTICE = "/app/fragments/settings/notice"
FORM = "application/x-www-form-urlencoded"


async def test_a_body_that_cannot_be_unpacked_is_the_senders_fault(door: Door) -> None:
    status, problem, _ = await door.call("POST", "/api/v1/auth/refresh", raw=b"{}",
                                         headers={"Content-Encoding": "gzip"})
    assert (status, problem["code"]) == (400, "invalid_json")


async def test_a_body_that_does_not_come_is_not_waited_for(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    began = time.monotonic()
    for path in ("/api/v1/auth/refresh", "/api/v1/signals"):
        answer = await _say(door, f"POST {path} HTTP/1.1\r\nHost: desk\r\nContent-Length: 20\r\n"
                                  "Content-Type: application/json\r\n\r\n{")
        assert answer.startswith(b"HTTP/1.1 408 "), answer
        assert b"application/problem+json" in answer
    assert time.monotonic() - began < 20


async def test_a_client_that_hangs_up_is_no_failure_of_the_database(door: Door) -> None:
    with structlog.testing.capture_logs() as logs:
        _, writer = await asyncio.open_connection(*_place(door))
        writer.write(b"POST /api/v1/auth/refresh HTTP/1.1\r\nHost: desk\r\nContent-Length: 20\r\n\r\n{")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()
        for _ in range(5):
            await door.call("GET", "/livez")
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == []


@pytest.mark.parametrize("path", ["/api/v1/positions", "/livez", "/nowhere"])
async def test_what_is_expected_and_cannot_be_is_refused_in_the_one_shape(door: Door, path: str) -> None:
    answer = await _say(door, f"GET {path} HTTP/1.1\r\nHost: desk\r\nExpect: <b>miracles</b>\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 417 ")
    for header in (b"Content-Type: application/problem+json\r\n", b"Server: Countersign\r\n", b"X-Request-Id: ",
                   b"X-Content-Type-Options: nosniff\r\n", b"Cache-Control: no-store\r\n"):
        assert header in answer, header


@pytest.mark.parametrize(("content_type", "raw", "status"), [
    (FORM, b"notice=on", 200), (f"{FORM};charset=UTF-8", b"", 200), (FORM, b"notice=on&notice=on", 422),
    (FORM, b"notice=%ff", 422), (FORM, b"notice=\xff", 422), (FORM, b"&".join([b"a=1"] * 5000), 422),
    (f"{FORM}; charset=bogus", b"notice=on", 200), ("multipart/form-data", b"x", 415), ("text/plain", b"x", 415),
    ("multipart/form-data; boundary=a", b"--a\r\n\r\nx\r\n--a--\r\n", 415), ("application/json", b"{}", 415)])
async def test_a_form_is_a_form(door: Door, content_type: str, raw: bytes, status: int) -> None:
    _, token = await door.person()
    found, answer, _ = await door.call("POST", NOTICE, token=token, raw=raw, headers={"Content-Type": content_type})
    assert found == status, answer


async def test_the_document_says_what_ending_a_signal_and_looking_at_positions_refuse(door: Door) -> None:
    key = await door.provider()
    _, token = await door.person()
    signal = await door.publish(key)
    for act in ("cancel", "close"):
        path = f"/signals/{signal['id']}/{act}"
        for body in ([], {"x": 1}):
            status, problem, _ = await door.signed("POST", f"/api/v1{path}", key, body)
            assert problem["code"] in _documented("post", f"/signals/{{id}}/{act}", status)
        status, problem, _ = await door.signed("POST", f"/api/v1{path}", key, {}, Content_Type="text/plain")
        assert problem["code"] in _documented("post", f"/signals/{{id}}/{act}", status)
    _, accounts, _ = await door.call("GET", "/api/v1/accounts", token=token)
    for path, written in (("/positions", "/positions"),
                          (f"/accounts/{accounts['items'][0]['id']}/positions", "/accounts/{id}/positions")):
        status, problem, _ = await door.call("GET", f"/api/v1{path}?force_refresh=maybe", token=token)
        assert (status, problem["code"]) == (422, "invalid_request")
        assert problem["code"] in _documented("get", written, status)


def test_the_document_does_not_say_that_an_absent_field_of_a_revision_means_something() -> None:
    properties = openapi.document()["components"]["schemas"]["ReviseSignal"]["properties"]
    assert [name for name, field in properties.items() if "default" in field] == []


def _documented(method: str, path: str, status: int) -> str:
    answers = openapi.document()["paths"][f"/api/v1{path}"][method]["responses"]
    return str(answers[str(status)]["description"])


@pytest.mark.parametrize("path", ["/api/v1/approvals/pending", "/app/fragments/settings"])
async def test_what_a_browser_has_already_is_not_sent_again(door: Door, path: str) -> None:
    """Weakly compared, as RFC 9110 has it: a proxy that packs the answer makes its tag a weak one."""
    _, token = await door.person()
    _, _, headers = await door.call("GET", path, token=token)
    bare = headers["ETag"].removeprefix("W/")
    for known in (bare, f"W/{bare}", f'"a", {bare}', f'W/"a",W/{bare}', "*"):
        status, body, again = await door.call("GET", path, token=token, headers={"If-None-Match": known})
        assert (status, body) == (304, b""), known
        assert again["ETag"] == headers["ETag"]
    for unknown in ('"a"', bare.strip('"'), "", 'W/"', "**"):
        assert (await door.call("GET", path, token=token, headers={"If-None-Match": unknown}))[0] == 200, unknown


@pytest.mark.parametrize("path", ["/apple", "/app/nowhere", "/static/0000000000000000/nothing.js",
                                  "/app/fragments/approvals/1", "/app/fragments/settings"])
async def test_a_refusal_is_not_kept_whatever_was_asked_for(door: Door, path: str) -> None:
    status, _, headers = await door.call("GET", path)
    assert status in (401, 404)
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


async def test_a_key_sealed_under_another_master_key_is_an_outage_and_no_crash(door: Door) -> None:
    async with door.desk.database.writing() as session:
        made = await providers.add(session, Vault(bytes(range(32, 64))), "Desk Beta", datetime.now(UTC))
    key = (made.key_id, made.secret)
    status, problem, _ = await door.signed("POST", "/api/v1/signals", key, {"external_id": "1"})
    assert (status, problem["code"]) == (503, "unavailable")


class TestBehindAProxy:
    @pytest.fixture
    def overlay(self) -> dict[str, Any]:
        return {"limits": {"auth": 3}, "server": {"trusted_proxies": ["127.0.0.1"]}}

    async def test_a_header_the_client_wrote_does_not_hide_the_one_the_proxy_adds(self, door: Door) -> None:
        """Some proxies add a line of their own instead of extending the client's."""
        statuses = []
        for number in range(4):
            answer = await _say(door, "POST /api/v1/auth/telegram HTTP/1.1\r\nHost: desk\r\n"
                                      f"X-Forwarded-For: 10.0.0.{number}\r\nX-Forwarded-For: 192.0.2.7\r\n"
                                      "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            statuses.append(int(answer.split()[1]))
        assert statuses == [422, 422, 422, 429]


def _place(door: Door) -> tuple[str, int]:
    host, _, port = door.base.removeprefix("http://").partition(":")
    return host, int(port)


async def _say(door: Door, text: str) -> bytes:
    """The beginning of the answer to these very bytes."""
    reader, writer = await asyncio.open_connection(*_place(door))
    writer.write(text.encode("latin-1"))
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 90)
    writer.close()
    return answer
