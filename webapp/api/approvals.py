"""Approvals over HTTP: what waits, what was decided, and deciding."""

import hashlib

from aiohttp import web

from models.approval import ApprovalStatus, Door
from runtime import strict_json
from services import approvals
from services.approvals import ApprovalView
from services.errors import InvalidRequest
from webapp import keys, presenters
from webapp.bodies import answer, is_known, parsed
from webapp.paths import cursor_of, id_of, limit_of
from webapp.schemas import Approve, Reject
from webapp.security import now, signed_in


@signed_in("reads")
async def pending(request: web.Request, user_id: int) -> web.Response:
    """What waits for this user's answer; 304 while nothing has changed."""
    moment = now()
    async with request.app[keys.desk].database.reading() as session:
        views = await approvals.pending(session, user_id, moment)
    etag = _etag(views)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if is_known(request, etag):
        return web.Response(status=304, headers=headers)
    poll = request.app[keys.settings].facts.approvals.poll_seconds
    return answer(presenters.pending(views, moment, poll), headers=headers)


def _etag(views: list[ApprovalView]) -> str:
    """Weak: two lists with equal items are the same list, whatever time the server says it is."""
    body = strict_json.dumps([presenters.approval(view) for view in views])
    return f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'


@signed_in("reads")
async def history(request: web.Request, user_id: int) -> web.Response:
    """Approvals, the newest first; ``status`` names one status or several with commas."""
    statuses = tuple(filter(None, request.query.get("status", "").split(","))) or tuple(ApprovalStatus)
    if not set(statuses) <= set(ApprovalStatus):
        raise InvalidRequest(f"status is one of {', '.join(ApprovalStatus)}.")
    before, limit = cursor_of(request), limit_of(request)
    async with request.app[keys.desk].database.reading() as session:
        views, following = await approvals.history(session, user_id, now(), statuses=statuses, before_id=before,
                                                   limit=limit)
    return answer({"items": [presenters.approval(view) for view in views],
                   "next_cursor": str(following) if following is not None else None})


@signed_in("reads")
async def show(request: web.Request, user_id: int) -> web.Response:
    """One approval of this user."""
    async with request.app[keys.desk].database.reading() as session:
        view = await approvals.view(session, user_id, id_of(request), now())
    return answer(presenters.approval(view))


@signed_in("decisions")
async def approve(request: web.Request, user_id: int) -> web.Response:
    """Countersign the terms with this hash; the order is written in the same transaction."""
    approval_id, body = id_of(request), await parsed(request, Approve)
    desk = request.app[keys.desk]
    async with desk.database.writing() as session:
        view, decided = await approvals.approve(session, desk.approval_rules, user_id, approval_id,
                                                body.terms_hash, Door.APP, now())
    if decided:
        desk.metrics.decisions.labels(ApprovalStatus.APPROVED, Door.APP).inc()
    desk.wakes.orders.set()
    return answer(presenters.approval(view))


@signed_in("decisions")
async def reject(request: web.Request, user_id: int) -> web.Response:
    """Turn the signal down."""
    approval_id, body = id_of(request), await parsed(request, Reject, optional=True)
    desk = request.app[keys.desk]
    async with desk.database.writing() as session:
        view, decided = await approvals.reject(session, user_id, approval_id, body.reason, Door.APP, now())
    if decided:
        desk.metrics.decisions.labels(ApprovalStatus.REJECTED, Door.APP).inc()
    desk.wakes.outbox.set()
    return answer(presenters.approval(view))
