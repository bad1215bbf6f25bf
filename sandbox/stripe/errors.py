"""Failures in Stripe's own types, codes and words."""

from typing import Any


class StripeError(Exception):
    """An error object with its status. ``executed`` says that the call had begun its work: such an answer is kept
    under the idempotency key, while refusals before that are not.
    """

    def __init__(self, status: int, message: str, *, kind: str = "invalid_request_error", code: str | None = None,
                 param: str | None = None, executed: bool = False, **more: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.executed = status, message, executed
        self.error: dict[str, Any] = {"message": message, "type": kind}
        if code is not None:
            self.error["code"] = code
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param is not None:
            self.error["param"] = param
        self.error |= more

    def body(self) -> dict[str, Any]:
        return {"error": self.error}


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    return StripeError(400, message, param=param, code=code)


def conflict(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """The object's state does not allow it: the work had begun, so the answer is kept."""
    return StripeError(400, message, param=param, code=code, executed=True)


def no_such(kind: str, object_id: str, param: str | None = None) -> StripeError:
    """404 for an object in the path (``param`` None), 400 for one named by a parameter."""
    name = kind.replace(".", " ").replace("_", " ")
    return StripeError(404 if param is None else 400, f"No such {name}: '{object_id}'", code="resource_missing",
                       param=param or "id")


def declined(message: str, code: str, **more: Any) -> StripeError:
    return StripeError(402, message, kind="card_error", code=code, executed=True, **more)


def unknown_url(method: str, path: str) -> StripeError:
    return StripeError(404, f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we "
                            "can help at https://support.stripe.com/.")


def rate_limited() -> StripeError:
    return StripeError(429, "Request rate limit exceeded. Learn more about rate limits here "
                            "https://stripe.com/docs/rate-limits.", code="rate_limit")


def broken() -> StripeError:
    return StripeError(500, "An unknown error occurred.", kind="api_error")
