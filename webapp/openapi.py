"""The OpenAPI 3.1 document, made from the route table and the body schemas, so that it cannot drift from them."""

import re
from typing import Any

from aiohttp import web
from pydantic.json_schema import models_json_schema

from webapp import shapes
from webapp.bodies import answer
from webapp.device_schemas import (
    ChangeDevice,
    OfferPairing,
    PairDevice,
    RegisterDevice,
    Report,
    RotateDevice,
    SameReport,
)
from webapp.order_schemas import AckOrder, BeginOrder
from webapp.problems import PROBLEMS
from webapp.schemas import (
    Approve,
    Body,
    BuyPlan,
    ChangeAccount,
    ChangeLevels,
    ChangePlan,
    ClosePosition,
    Empty,
    LinkAccount,
    Logout,
    MapSymbol,
    PublishSignal,
    Refresh,
    Reject,
    ReviseSignal,
    SignIn,
)
from webapp.symbol_schemas import SymbolPage
from wire import envelope

SIGNATURE: list[dict[str, list[str]]] = [{"keyId": [], "timestamp": [], "nonce": [], "signature": []}]
BEARER: list[dict[str, list[str]]] = [{"bearer": []}]

# (method, path under /api/v1): summary, security, body, {status: shape}, codes of the errors it can answer
OPERATIONS: dict[tuple[str, str], tuple[str, list[dict[str, list[str]]], type[Body] | None, dict[int, str | None],
                                        str]] = {
    ("POST", "/auth/telegram"): ("Sign in with launch data", [], SignIn, {200: "Pair"}, "invalid_init_data"),
    ("POST", "/auth/refresh"): ("Rotate a refresh token", [], Refresh, {200: "Pair"}, "unauthenticated"),
    ("POST", "/auth/logout"): ("Sign out", BEARER, Logout, {204: None}, "unauthenticated"),
    ("GET", "/me"): ("Who is signed in", BEARER, None, {200: "Me"}, "unauthenticated"),
    ("POST", "/signals"): ("Publish a signal", SIGNATURE, PublishSignal, {200: "Signal", 201: "Signal"},
                           "unauthenticated external_id_reused contradictory_levels body_too_large unavailable"),
    ("GET", "/signals/{id}"): ("A signal and its answers", SIGNATURE, None, {200: "CountedSignal"},
                               "unauthenticated not_found unavailable"),
    ("POST", "/signals/{id}/revise"): ("Change the terms", SIGNATURE, ReviseSignal, {200: "Signal"},
                                       "unauthenticated not_found signal_ended contradictory_levels unavailable"),
    ("POST", "/signals/{id}/cancel"): ("Cancel", SIGNATURE, Empty, {200: "Signal"},
                                       "unauthenticated not_found signal_ended unavailable"),
    ("POST", "/signals/{id}/close"): ("Close", SIGNATURE, Empty, {200: "Signal"},
                                      "unauthenticated not_found signal_ended unavailable"),
    ("GET", "/providers"): ("Providers", BEARER, None, {200: "Providers"}, "unauthenticated"),
    ("PUT", "/providers/{id}/follow"): ("Follow", BEARER, None, {204: None}, "unauthenticated not_found"),
    ("DELETE", "/providers/{id}/follow"): ("Unfollow", BEARER, None, {204: None}, "unauthenticated not_found"),
    ("GET", "/approvals"): ("Approvals, newest first", BEARER, None, {200: "Approvals"},
                            "unauthenticated invalid_request"),
    ("GET", "/approvals/pending"): ("What waits for an answer", BEARER, None, {200: "Pending", 304: None},
                                    "unauthenticated"),
    ("GET", "/approvals/{id}"): ("One approval", BEARER, None, {200: "Approval"}, "unauthenticated not_found"),
    ("POST", "/approvals/{id}/approve"): (
        "Countersign these terms", BEARER, Approve, {200: "Approval"},
        "unauthenticated tier_too_low not_found already_decided approval_withdrawn no_account approval_expired "
        "terms_changed"),
    ("POST", "/approvals/{id}/reject"): ("Turn down", BEARER, Reject, {200: "Approval"},
                                         "unauthenticated not_found already_decided approval_withdrawn "
                                         "approval_expired"),
    ("GET", "/accounts"): ("Accounts", BEARER, None, {200: "Accounts"}, "unauthenticated"),
    ("GET", "/accounts/{id}"): ("One account", BEARER, None, {200: "Account"}, "unauthenticated not_found"),
    ("PATCH", "/accounts/{id}"): ("Label and sizing", BEARER, ChangeAccount, {200: "Account"},
                                  "unauthenticated not_found"),
    ("POST", "/accounts/link"): ("Verify an account and link it", BEARER, LinkAccount, {201: "Account"},
                                 "unauthenticated account_not_verified limit_reached not_found already_linked "
                                 "unavailable"),
    ("PUT", "/accounts/{id}/primary"): ("Let orders go to this account", BEARER, None, {200: "Account"},
                                        "unauthenticated account_not_verified not_found"),
    ("DELETE", "/accounts/{id}"): ("Unlink an account", BEARER, None, {204: None},
                                   "unauthenticated not_found last_account"),
    ("GET", "/accounts/{id}/symbols"): ("What the broker calls the symbols of signals", BEARER, None,
                                        {200: "Symbols"}, "unauthenticated not_found"),
    ("PUT", "/accounts/{id}/symbols/{symbol}"): ("Say which of the broker's symbols it is", BEARER, MapSymbol,
                                                 {200: "Symbol"}, "unauthenticated not_found unavailable"),
    ("DELETE", "/accounts/{id}/symbols/{symbol}"): ("Find it anew when it is needed", BEARER, None, {204: None},
                                                    "unauthenticated not_found"),
    ("GET", "/devices"): ("Devices", BEARER, None, {200: "Devices"}, "unauthenticated"),
    ("POST", "/devices"): ("Register a device; its secret is in this answer only", BEARER, RegisterDevice,
                           {201: "Registered"}, "unauthenticated limit_reached not_found name_taken"),
    ("PATCH", "/devices/{id}"): ("Name, envelope, account", BEARER, ChangeDevice, {200: "Device"},
                                 "unauthenticated not_found name_taken"),
    ("POST", "/devices/pairing"): ("A code that makes a device, once", BEARER, OfferPairing, {201: "PairingCode"},
                                   "unauthenticated limit_reached name_taken"),
    ("GET", "/devices/pairing/{id}"): ("What has become of a code", BEARER, None, {200: "Pairing"},
                                       "unauthenticated not_found"),
    ("POST", "/devices/{id}/rotate"): ("A new secret, in this answer only", BEARER, RotateDevice, {200: "Registered"},
                                       "unauthenticated not_found"),
    ("POST", "/devices/{id}/revoke"): ("Shut out for good", BEARER, Empty, {200: "Device"},
                                       "unauthenticated not_found"),
    ("GET", "/devices/{id}/doctor"): ("What keeps a device from trading well", BEARER, None, {200: "Diagnosis"},
                                      "unauthenticated not_found"),
    ("POST", "/ea/pair"): ("Become a device by a code; its secret is in this answer only", [], PairDevice,
                           {201: "Registered"}, "unauthenticated"),
    ("GET", "/ea/time"): ("The desk's clock", [], None, {200: "Time"}, ""),
    ("POST", "/ea/snapshot"): ("Report an account and its positions", SIGNATURE, Report, {204: None},
                               "unauthenticated snapshot_unknown unavailable"),
    ("POST", "/ea/symbols"): ("Tell what the broker trades, and how the terminal stands", SIGNATURE, SymbolPage,
                              {204: None}, "unauthenticated unavailable"),
    ("GET", "/ea/poll"): ("Orders to trade, under a lease", SIGNATURE, None, {200: "Offer", 204: None},
                          "unauthenticated unavailable"),
    ("POST", "/ea/begin"): ("Say that an order is about to be traded", SIGNATURE, BeginOrder, {200: "Begun"},
                            "unauthenticated not_found lease_lost already_begun order_expired unavailable"),
    ("POST", "/ea/ack"): ("Say what became of an order", SIGNATURE, AckOrder, {200: "Acknowledged"},
                          "unauthenticated not_found unavailable"),
    ("GET", "/accounts/{id}/positions"): ("Positions of an account", BEARER, None, {200: "Portfolio"},
                                          "unauthenticated not_found invalid_request unavailable"),
    ("GET", "/accounts/{id}/equity"): ("Equity over time", BEARER, None, {200: "EquityPoints"},
                                       "unauthenticated not_found invalid_request"),
    ("GET", "/accounts/{id}/history"): ("Positions an account has had, newest first", BEARER, None,
                                        {200: "PastPositions"}, "unauthenticated not_found invalid_request"),
    ("GET", "/portfolio"): ("All accounts together, by currency", BEARER, None, {200: "CurrencyTotals"},
                            "unauthenticated invalid_request"),
    ("GET", "/positions"): ("Positions of the primary account", BEARER, None, {200: "Portfolio"},
                            "unauthenticated no_account invalid_request unavailable"),
}
OPERATIONS |= {
    ("GET", "/events"): ("What changes, as it changes", BEARER, None, {200: "Event"},
                         "unauthenticated invalid_request unavailable"),
}
_ACT = "unauthenticated not_found invalid_request position_closed position_busy order_refused unavailable"
OPERATIONS |= {
    ("POST", "/accounts/{id}/positions/{ticket}/close"): ("Close a position or a part of it", BEARER, ClosePosition,
                                                          {200: "PositionAct"}, _ACT),
    ("PATCH", "/accounts/{id}/positions/{ticket}"): ("Move the stop or the target", BEARER, ChangeLevels,
                                                     {200: "PositionAct"}, _ACT),
}
_MONEY = ("unauthenticated idempotency_key_required idempotency_key_reused in_progress outcome_unknown "
          "payment_refused billing_unavailable unavailable")
OPERATIONS |= {
    ("GET", "/billing/plans"): ("What can be bought", BEARER, None, {200: "Plans"}, "unauthenticated"),
    ("GET", "/billing/subscription"): ("The tier, and what pays for it", BEARER, None, {200: "Subscription"},
                                       "unauthenticated"),
    ("GET", "/billing/invoices"): ("Invoices", BEARER, None, {200: "Invoices"},
                                   "unauthenticated invalid_request billing_unavailable outcome_unknown"),
    ("GET", "/billing/receipts"): ("Payments, and what they opened", BEARER, None, {200: "Receipts"},
                                   "unauthenticated invalid_request"),
    ("GET", "/billing/preview"): ("What a change of plan costs now", BEARER, None, {200: "Preview"},
                                  "unauthenticated invalid_request no_subscription payment_refused "
                                  "billing_unavailable outcome_unknown"),
    ("POST", "/billing/checkout"): ("A page to pay on", BEARER, BuyPlan, {201: "Address"},
                                    f"{_MONEY} already_subscribed"),
    ("POST", "/billing/portal"): ("A page to manage cards on", BEARER, Empty, {201: "Address"},
                                  f"{_MONEY} no_subscription provider_cannot"),
    ("POST", "/billing/change-plan"): ("Change the plan", BEARER, ChangePlan, {200: "Changed"},
                                       f"{_MONEY} no_subscription preview_outdated provider_cannot"),
    ("POST", "/billing/cancel"): ("End it when the period ends", BEARER, Empty, {200: "Cancelled"},
                                  f"{_MONEY} no_subscription"),
    ("POST", "/billing/resume"): ("Let it go on", BEARER, Empty, {200: "Cancelled"},
                                  f"{_MONEY} no_subscription provider_cannot"),
}
# Where a code answers with another status than its usual one.
OTHER_STATUS = {("GET", "/positions", "no_account"): 404}
QUERIES = {("GET", "/approvals"): ("status", "cursor", "limit"), ("GET", "/positions"): ("force_refresh",),
           ("GET", "/accounts/{id}/positions"): ("force_refresh",), ("GET", "/billing/preview"): ("tier",),
           ("GET", "/accounts/{id}/equity"): ("span",), ("GET", "/portfolio"): ("force_refresh",),
           ("GET", "/accounts/{id}/history"): ("status", "cursor", "limit"),
           ("GET", "/billing/receipts"): ("cursor", "limit"), ("GET", "/billing/invoices"): ("limit",)}
# What a body may be instead.
OR_ELSE: dict[tuple[str, str], type[Body]] = {("POST", "/ea/snapshot"): SameReport}
HEADERS = {("GET", "/events"): ("Last-Event-ID",)}
# Told one after the other for as long as somebody listens; the shape is that of each event, its data read as JSON.
STREAMS = {("GET", "/events")}
# What a device may seal: both bodies are envelopes then, and what they are described as is what is in them.
SEALABLE = {name for name, operation in OPERATIONS.items() if operation[1] is SIGNATURE and name[1].startswith("/ea/")}
_ENVELOPE_CODES = " envelope_required envelope_broken counter_used"
_ENVELOPE = [
    {"name": "envelope", "in": "query", "required": False, "schema": {"const": "v1"},
     "description": f"Asks for envelopes: both bodies are {envelope.CONTENT_TYPE}. With counter, in this order."},
    {"name": "counter", "in": "query", "required": False,
     "schema": {"type": "integer", "minimum": 1, "maximum": envelope.MOST_COUNTER}}]
_IN_PATH = re.compile(r"\{(\w+)\}")


async def show(_request: web.Request) -> web.Response:
    """The document."""
    return answer(document())


def document() -> dict[str, Any]:
    """OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0)."""
    bodies = [*(op[2] for op in OPERATIONS.values() if op[2] is not None), *OR_ELSE.values()]
    _, schema = models_json_schema([(body, "validation") for body in bodies],
                                   ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), operation in OPERATIONS.items():
        paths.setdefault(f"/api/v1{path}", {})[method.lower()] = _operation(method, path, *operation)
    return {
        "openapi": "3.1.0", "info": {"title": "Countersign", "version": "1"}, "paths": paths,
        "components": {"schemas": {**schema["$defs"], **shapes.SHAPES}, "securitySchemes": _schemes()},
    }


def _operation(method: str, path: str, summary: str, security: list[dict[str, list[str]]], body: type[Body] | None,
               answers: dict[int, str | None], codes: str) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                                        for name in _IN_PATH.findall(path)]
    parameters += [{"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
                   for name in QUERIES.get((method, path), ())]
    parameters += [{"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
                   for name in HEADERS.get((method, path), ())]
    parameters += _ENVELOPE if (method, path) in SEALABLE else []
    if "idempotency_key_required" in codes:
        parameters.append({"name": "Idempotency-Key", "in": "header", "required": True,
                           "schema": {"type": "string", "minLength": 1, "maxLength": 255}})
    described: dict[str, Any] = {"summary": summary, "operationId": _name(method, path), "security": security,
                                 "parameters": parameters, "responses": _responses(method, path, answers, codes, body)}
    if body is not None:
        told = [{"$ref": f"#/components/schemas/{one.__name__}"} for one in (body, OR_ELSE.get((method, path))) if one]
        schema = told[0] if len(told) == 1 else {"oneOf": told}
        described["requestBody"] = {"required": body not in (Empty, Logout, Reject, RotateDevice),
                                    "content": {"application/json": {"schema": schema}}}
        if (method, path) in SEALABLE:
            described["requestBody"]["content"][envelope.CONTENT_TYPE] = {"schema": {"type": "string",
                                                                                    "format": "binary"}}
    return described


def _responses(method: str, path: str, answers: dict[int, str | None], codes: str,
               body: type[Body] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, shape in answers.items():
        found[str(status)] = {"description": "Success"}
        if shape is not None:
            media = "text/event-stream" if (method, path) in STREAMS else "application/json"
            found[str(status)]["content"] = {
                media: {"schema": {"$ref": f"#/components/schemas/{shape}"}}}
    extra = " invalid_json unsupported_media_type invalid_request body_too_large request_timeout" if body else ""
    extra += _ENVELOPE_CODES if (method, path) in SEALABLE else ""
    for code in f"{codes}{extra} rate_limited internal_error".split():
        status = OTHER_STATUS.get((method, path, code), PROBLEMS[code][0])
        kept = found.setdefault(str(status), {"description": "", "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}})
        kept["description"] = ", ".join(dict.fromkeys(filter(None, [*kept["description"].split(", "), code])))
    if (method, path) in SEALABLE:
        found["400"]["description"] += ", invalid_request"  # a query that asks in another form
    return found


def _name(method: str, path: str) -> str:
    words = [word.strip("{}") for word in path.split("/") if word]
    return "_".join([method.lower(), *words]).replace("-", "_")


def _schemes() -> dict[str, Any]:
    headers = {"keyId": "X-Key-Id", "timestamp": "X-Timestamp", "nonce": "X-Nonce", "signature": "X-Signature"}
    signed = {name: {"type": "apiKey", "in": "header", "name": header} for name, header in headers.items()}
    return {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}, **signed}
