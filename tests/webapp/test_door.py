"""What holds for every route: one shape of errors, ids, headers, limits, health, and a true OpenAPI document."""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bot import texts
from services import errors
from services.errors import DomainError
from tests.webapp.conftest import Door
from webapp import middlewares, openapi, shapes
from webapp.problems import PROBLEMS
from webapp.routes import api, routes

MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}


def all_errors() -> list[type[DomainError]]:
    return [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DomainError)]


@pytest.mark.parametrize("kind", all_errors())
def test_every_error_of_the_desk_has_an_answer_in_both_doors(kind: type[DomainError]) -> None:
    assert kind.code in PROBLEMS
    assert kind.code in texts.ERRORS


async def test_every_route_answers_errors_in_one_shape(door: Door) -> None:
    for route in api():
        if not openapi.OPERATIONS[route.method, route.path.removeprefix("/api/v1")][-1]:
            continue  # it wants nothing of anybody, so there is nothing to refuse
        path = re.sub(r"\{\w+\}", "1", route.path)
        status, problem, headers = await door.call(route.method, path, body={} if route.method == "POST" else None)
        assert status in (401, 422), (route.method, path, status)
        assert set(problem) >= MEMBERS
        assert headers["Content-Type"].startswith("application/problem+json")
        assert problem["status"] == status
        assert problem["request_id"] == headers["X-Request-Id"]


def test_no_two_requests_have_one_id() -> None:
    drawn = middlewares.Ids()
    ids = [drawn.next() for _ in range(3 * middlewares.Ids.AT_ONCE)]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[0-9a-f]{16}", one) for one in ids)


async def test_what_does_not_exist_is_a_problem_too(door: Door) -> None:
    status, problem, headers = await door.call("GET", "/nowhere/<script>")
    assert (status, problem["code"]) == (404, "not_found")
    assert "script" not in json.dumps(problem)
    status, problem, headers = await door.call("DELETE", "/api/v1/me")
    assert (status, problem["code"]) == (405, "method_not_allowed")
    assert headers["Allow"] == "GET,HEAD"


async def test_bodies_have_a_type_and_a_size(door: Door) -> None:
    _, token = await door.person()
    status, problem, _ = await door.call("POST", "/api/v1/auth/refresh", raw=b"refresh_token=x",
                                         headers={"Content-Type": "text/plain"})
    assert (status, problem["code"]) == (415, "unsupported_media_type")
    status, problem, _ = await door.call("POST", "/api/v1/auth/logout", token=token, raw=b"x" * (256 * 1024 + 1))
    assert (status, problem["code"]) == (413, "body_too_large")


async def test_headers_say_what_browsers_may_do(door: Door) -> None:
    _, _, headers = await door.call("GET", "/api/v1/openapi.json")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers.getall("Server") == ["Countersign"]
    ids = {(await door.call("GET", "/livez"))[2]["X-Request-Id"] for _ in range(3)}
    assert len(ids) == 3


async def test_health(door: Door) -> None:
    assert (await door.call("GET", "/livez"))[:2] == (200, b"ok")
    assert (await door.call("GET", "/readyz"))[:2] == (200, b"ok")
    door.is_ready = False
    assert (await door.call("GET", "/readyz"))[:2] == (503, b"not ready")
    assert (await door.call("GET", "/livez"))[0] == 200
    status, body, _ = await door.call("GET", "/metrics")
    assert status == 200 and b"countersign_http_requests_total" in body
    status, _, _ = await door.call("GET", "/metrics", headers={"X-Forwarded-For": "127.0.0.1"})
    assert status == 403


class TestLimits:
    @pytest.fixture
    def overlay(self) -> dict[str, Any]:
        return {"limits": {"auth": 3, "reads": 4}}

    async def test_too_many_requests_say_when_to_come_back(self, door: Door) -> None:
        _, token = await door.person()
        for _ in range(4):
            assert (await door.call("GET", "/api/v1/me", token=token))[0] == 200
        status, problem, headers = await door.call("GET", "/api/v1/me", token=token)
        assert (status, problem["code"]) == (429, "rate_limited")
        assert 1 <= int(headers["Retry-After"]) <= 60
        assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == ("4", "0")
        _, other = await door.person(7002)
        assert (await door.call("GET", "/api/v1/me", token=other))[0] == 200

    async def test_sign_ins_are_counted_by_address_and_not_by_what_it_claims(self, door: Door) -> None:
        statuses = []
        for number in range(4):
            body = {"init_data": "forged"}
            status, _, _ = await door.call("POST", "/api/v1/auth/telegram", body=body,
                                           headers={"X-Forwarded-For": f"10.0.0.{number}"})
            statuses.append(status)
        assert statuses == [401, 401, 401, 429]


def test_the_document_lists_every_route_and_no_other() -> None:
    table = {(route.method, route.path.removeprefix("/api/v1")) for route in api()}
    assert set(openapi.OPERATIONS) == table
    assert len({(route.method, route.path) for route in routes()}) == len(routes())


def test_a_body_and_an_answer_never_share_a_name() -> None:
    bodies = {operation[2].__name__ for operation in openapi.OPERATIONS.values() if operation[2] is not None}
    assert not bodies & set(shapes.SHAPES)


def test_the_document_is_valid_json_schema_throughout() -> None:
    document = openapi.document()
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(document)
    for name in re.findall(r'#/components/schemas/(\w+)', text):
        assert name in document["components"]["schemas"], name


async def test_answers_are_as_documented(door: Door) -> None:
    key = await door.provider()
    _, token = await door.person()
    signal = await door.publish(key, take_profits=["2400", "2450"])
    approval = await door.waiting(token)
    _, pair, _ = await door.call("POST", "/api/v1/auth/telegram", body={"init_data": door.launch()})
    _, approved, _ = await door.call("POST", f"/api/v1/approvals/{approval['id']}/approve", token=token,
                                     body={"terms_hash": approval["terms_hash"]})
    answers = {
        "Pair": pair, "Signal": signal, "Approval": approved,
        "CountedSignal": (await door.signed("GET", f"/api/v1/signals/{signal['id']}", key))[1],
        "Me": (await door.call("GET", "/api/v1/me", token=token))[1],
        "Providers": (await door.call("GET", "/api/v1/providers", token=token))[1],
        "Approvals": (await door.call("GET", "/api/v1/approvals", token=token))[1],
        "Pending": (await door.call("GET", "/api/v1/approvals/pending", token=token))[1],
        "Accounts": (await door.call("GET", "/api/v1/accounts", token=token))[1],
        "Portfolio": (await door.call("GET", "/api/v1/positions", token=token))[1],
        "Problem": (await door.call("GET", "/api/v1/me"))[1],
    }
    schemas = openapi.document()["components"]
    for name, answer in answers.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": schemas}
        Draft202012Validator(schema).validate(answer)
