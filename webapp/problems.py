"""Errors as RFC 9457 problem details: the one table from codes to statuses."""

from typing import Any

from aiohttp import web

from runtime import strict_json
from services.errors import (
    AccountNotVerified,
    CounterUsed,
    DomainError,
    LimitReached,
    OrderRefused,
    RateLimited,
    TierTooLow,
)
from webapp import keys

# code: (status, title)
PROBLEMS: dict[str, tuple[int, str]] = {
    "invalid_json": (400, "Not valid JSON"),
    "unauthenticated": (401, "Not signed in"),
    "invalid_init_data": (401, "Launch data refused"),
    "tier_too_low": (403, "Plan does not cover this"),
    "forbidden": (403, "Not allowed"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "Method not allowed"),
    "request_timeout": (408, "The request took too long"),
    "idempotency_key_required": (400, "Idempotency-Key required"),
    "invalid_signature": (400, "Signature refused"),
    "payment_refused": (402, "Payment refused"),
    "already_subscribed": (409, "Subscribed already"),
    "in_progress": (409, "In progress"),
    "no_subscription": (409, "No subscription"),
    "preview_outdated": (409, "Preview outdated"),
    "provider_cannot": (409, "Not offered by the provider"),
    "payment_disputed": (409, "Payment disputed"),
    "amount_too_high": (409, "Amount too high"),
    "refund_in_whole_only": (409, "Refund in whole only"),
    "refund_outdated": (409, "Refund outdated"),
    "idempotency_key_reused": (422, "Idempotency-Key reused"),
    "billing_unavailable": (503, "Billing unavailable"),
    "outcome_unknown": (503, "Outcome unknown"),
    "account_not_verified": (400, "Account not verified"),
    "limit_reached": (403, "Limit reached"),
    "already_linked": (409, "Already linked"),
    "last_account": (409, "The only account"),
    "name_taken": (409, "Name taken"),
    "snapshot_unknown": (409, "Snapshot unknown"),
    "lease_lost": (409, "Lease lost"),
    "already_begun": (409, "Already begun"),
    "order_expired": (410, "Order expired"),
    "envelope_required": (403, "Envelope required"),
    "envelope_broken": (400, "Envelope broken"),
    "counter_used": (409, "Counter used"),
    "position_closed": (409, "Position closed"),
    "position_busy": (409, "Position busy"),
    "order_refused": (409, "Refused"),
    "already_decided": (409, "Already decided"),
    "approval_withdrawn": (409, "Withdrawn"),
    "external_id_reused": (409, "External id reused"),
    "no_account": (409, "No account"),
    "signal_ended": (409, "Signal ended"),
    "approval_expired": (410, "Expired"),
    "terms_changed": (412, "Terms changed"),
    "body_too_large": (413, "Body too large"),
    "unsupported_media_type": (415, "Unsupported media type"),
    "invalid_request": (422, "Invalid request"),
    "contradictory_levels": (422, "Contradictory levels"),
    "rate_limited": (429, "Too many requests"),
    "internal_error": (500, "Internal error"),
    "unavailable": (503, "Unavailable"),
    "error": (500, "Error"),
}
COME_BACK = ("unavailable", "in_progress", "outcome_unknown")
_BY_STATUS = {401: "unauthenticated", 403: "forbidden", 404: "not_found", 405: "method_not_allowed",
              408: "request_timeout", 413: "body_too_large", 415: "unsupported_media_type", 503: "unavailable"}


def problem(code: str, detail: str, request_id: str, *, status: int | None = None,
            headers: dict[str, str] | None = None, **more: Any) -> web.Response:
    """A problem details answer for a code of the table."""
    default, title = PROBLEMS[code]
    body = {"type": f"urn:countersign:problem:{code}", "title": title, "status": status or default, "detail": detail,
            "code": code, "request_id": request_id, **more}
    return web.Response(body=strict_json.dumps(body), status=status or default, headers=headers,
                        content_type="application/problem+json")


def of_domain(error: DomainError, request: web.Request) -> web.Response:
    """The answer for an error of the desk; a plan that is too low comes with the way to the one that is needed."""
    request_id = request[keys.request_id]
    if isinstance(error, RateLimited):
        wait = str(error.retry_after)
        return problem(error.code, error.detail, request_id, headers={
            "Retry-After": wait, "RateLimit-Limit": str(error.limit), "RateLimit-Remaining": "0",
            "RateLimit-Reset": wait})
    if isinstance(error, TierTooLow):
        way = f"{request.app[keys.settings].public_url}/app/billing?tier={error.needed}"
        return problem(error.code, error.detail, request_id, needed_tier=error.needed, upgrade_url=way)
    if isinstance(error, LimitReached) and error.needed is not None:
        way = f"{request.app[keys.settings].public_url}/app/billing?tier={error.needed}"
        return problem(error.code, error.detail, request_id, needed_tier=error.needed, upgrade_url=way)
    if isinstance(error, AccountNotVerified | OrderRefused):
        return problem(error.code, error.detail, request_id, reason=error.reason)
    if isinstance(error, CounterUsed):
        return problem(error.code, error.detail, request_id, next_counter=error.next_counter)
    headers = {"Retry-After": "1"} if error.code in COME_BACK else None
    return problem(error.code, error.detail, request_id, headers=headers)


def of_status(status: int, request_id: str, headers: dict[str, str] | None = None) -> web.Response:
    """The answer for what aiohttp itself refuses."""
    code = _BY_STATUS.get(status, "internal_error" if status >= 500 else "invalid_request")
    return problem(code, PROBLEMS[code][1] + ".", request_id, status=status, headers=headers)
