"""The methods a bot receives with: long polling and the webhook's settings."""

import re
from typing import Any
from urllib.parse import urlsplit

from sandbox.loopback import is_loopback
from sandbox.telegram.api import Telegram
from sandbox.telegram.errors import bad_request
from sandbox.telegram.params import Params
from sandbox.telegram.state import Webhook
from sandbox.telegram.updates import WEBHOOK_SET

_SECRET = re.compile(r"[A-Za-z0-9_-]{0,256}")


async def get_updates(telegram: Telegram, params: Params) -> list[dict[str, Any]]:
    _remember_allowed(telegram, params)
    return await telegram.updates.poll(
        params.integer("offset"), params.integer("limit", 100), params.integer("timeout"))


async def set_webhook(telegram: Telegram, params: Params) -> bool:
    url = params.text("url")
    if not url:
        return await delete_webhook(telegram, params)
    _check_url(url)
    secret = params.text("secret_token")
    if not _SECRET.fullmatch(secret):
        raise bad_request("secret token contains unallowed characters")
    _remember_allowed(telegram, params)
    if params.flag("drop_pending_updates"):
        telegram.updates.drop_all()
    connections = min(max(params.integer("max_connections", 40), 1), 100)
    telegram.state.save_webhook(Webhook(url, secret, connections))
    telegram.updates.end_poll(WEBHOOK_SET)
    await telegram.courier.restart()
    return True


async def delete_webhook(telegram: Telegram, params: Params) -> bool:
    if params.flag("drop_pending_updates"):
        telegram.updates.drop_all()
    telegram.state.save_webhook(Webhook())
    await telegram.courier.restart()
    return True


async def get_webhook_info(telegram: Telegram, params: Params) -> dict[str, Any]:
    webhook = telegram.state.webhook
    info: dict[str, Any] = {"url": webhook.url, "has_custom_certificate": False,
                            "pending_update_count": len(telegram.state.updates)}
    if webhook.url:
        info["max_connections"] = webhook.max_connections
    if webhook.last_error_date is not None:
        info |= {"last_error_date": webhook.last_error_date, "last_error_message": webhook.last_error_message}
    if telegram.state.settings.get("allowed_updates"):
        info["allowed_updates"] = telegram.state.settings["allowed_updates"]
    return info


def _remember_allowed(telegram: Telegram, params: Params) -> None:
    """Telegram keeps the last list it was given, over any number of calls without one."""
    if "allowed_updates" not in params:
        return
    allowed = params.object("allowed_updates", "allowed updates")
    if not isinstance(allowed, list) or not all(isinstance(kind, str) for kind in allowed):
        raise bad_request("can't parse allowed updates: expected an Array of String")
    if allowed != telegram.state.settings.get("allowed_updates"):
        telegram.state.save_setting("allowed_updates", allowed)


def _check_url(url: str) -> None:
    """On this machine only; Telegram itself wants https."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise bad_request("bad webhook: Wrong HTTP URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if not is_loopback(host):
        raise bad_request("bad webhook: the sandbox delivers to this machine only")
