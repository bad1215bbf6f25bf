"""Errors of the desk: types with a stable ``code``. Each door translates them once."""


class DomainError(Exception):
    """Something the desk refuses or cannot do. ``detail`` is for people and holds no secrets."""

    code = "error"
    detail = "This cannot be done."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail or self.detail)
        self.detail = detail or self.detail


class Unauthenticated(DomainError):
    code = "unauthenticated"
    detail = "The credentials are missing, wrong or out of date."


class InvalidInitData(DomainError):
    code = "invalid_init_data"
    detail = "Telegram's launch data is missing, forged or too old."


class NotFound(DomainError):
    code = "not_found"
    detail = "There is no such thing."


class NoAccount(DomainError):
    code = "no_account"
    detail = "There is no account to trade on."


class AccountNotVerified(DomainError):
    """``reason`` is the code of services/reasons that says why."""

    code = "account_not_verified"
    detail = "The account could not be verified."

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason


class AlreadyLinked(DomainError):
    code = "already_linked"
    detail = "This account is linked already."


class LimitReached(DomainError):
    """``needed`` is the lowest tier that allows more, None when none does."""

    code = "limit_reached"
    detail = "Your plan does not allow more of these."

    def __init__(self, needed: str | None, detail: str | None = None) -> None:
        super().__init__(detail)
        self.needed = needed


class LastAccount(DomainError):
    code = "last_account"
    detail = "This is your only account. Link another one before you unlink it."


class NameTaken(DomainError):
    code = "name_taken"
    detail = "You have one of this name already."


class SnapshotUnknown(DomainError):
    code = "snapshot_unknown"
    detail = "The desk does not have that report. Send it whole."


class LeaseLost(DomainError):
    code = "lease_lost"
    detail = "The order is not yours to trade any more."


class AlreadyBegun(DomainError):
    code = "already_begun"
    detail = "This order has been begun. Look for what became of it; do not send it."


class OrderExpired(DomainError):
    code = "order_expired"
    detail = "The order's time is over."


class EnvelopeRequired(DomainError):
    code = "envelope_required"
    detail = "This device has to seal what it sends."


class EnvelopeBroken(DomainError):
    code = "envelope_broken"
    detail = "The envelope does not open. Its counter is used up."


class CounterUsed(DomainError):
    """``next_counter`` is the least that can be accepted."""

    code = "counter_used"
    detail = "This counter, or a greater one, has been used. Count on from next_counter."

    def __init__(self, next_counter: int) -> None:
        super().__init__()
        self.next_counter = next_counter


class PositionClosed(DomainError):
    code = "position_closed"
    detail = "This position is no longer open."


class PositionBusy(DomainError):
    code = "position_busy"
    detail = "Something else is being done with this position. Wait until it is finished."


class OrderRefused(DomainError):
    """The broker or a check before it refused; nothing was done. ``reason`` is a code of services/reasons."""

    code = "order_refused"
    detail = "This was refused. Nothing was changed."

    def __init__(self, reason: str, detail: str | None = None) -> None:
        super().__init__(detail)
        self.reason = reason


class InvalidRequest(DomainError):
    code = "invalid_request"
    detail = "The request is not valid."


class ContradictoryLevels(DomainError):
    code = "contradictory_levels"
    detail = "The levels contradict the side."


class ExternalIdReused(DomainError):
    code = "external_id_reused"
    detail = "This external id belongs to another signal."


class SignalEnded(DomainError):
    code = "signal_ended"
    detail = "The signal is no longer open."


class AlreadyDecided(DomainError):
    code = "already_decided"
    detail = "This signal has already been answered the other way."


class ApprovalExpired(DomainError):
    code = "approval_expired"
    detail = "The time to answer is over."


class ApprovalWithdrawn(DomainError):
    code = "approval_withdrawn"
    detail = "The provider has withdrawn this signal."


class TermsChanged(DomainError):
    code = "terms_changed"
    detail = "The provider has changed the terms. Look at the new ones first."


class TierTooLow(DomainError):
    """``needed`` is the lowest tier that would do."""

    code = "tier_too_low"
    detail = "Your plan does not cover this."

    def __init__(self, needed: str) -> None:
        super().__init__(f"This needs the {needed} plan.")
        self.needed = needed


class TryLater(DomainError):
    code = "unavailable"
    detail = "A part of the desk is not reachable. Nothing was changed; try again."


class IdempotencyKeyRequired(DomainError):
    code = "idempotency_key_required"
    detail = "Send one Idempotency-Key of 1 to 255 printable ASCII characters."


class IdempotencyKeyReused(DomainError):
    code = "idempotency_key_reused"
    detail = "This Idempotency-Key belongs to another request."


class InProgress(DomainError):
    code = "in_progress"
    detail = "The same is being done already. Ask again in a moment."


class OutcomeUnknown(DomainError):
    code = "outcome_unknown"
    detail = "The payment provider has not said what became of it. Send the same request again."


class PaymentRefused(DomainError):
    """``provider_code`` is the payment provider's own."""

    code = "payment_refused"
    detail = "The payment provider refused."

    def __init__(self, provider_code: str, detail: str) -> None:
        super().__init__(detail)
        self.provider_code = provider_code


class AlreadySubscribed(DomainError):
    code = "already_subscribed"
    detail = "There is a subscription already. Change its plan instead."


class NoSubscription(DomainError):
    code = "no_subscription"
    detail = "There is no subscription."


class PreviewOutdated(DomainError):
    code = "preview_outdated"
    detail = "The amount that was agreed to is no longer good. Ask for a new preview. Nothing was charged."


class PaymentDisputed(DomainError):
    code = "payment_disputed"
    detail = "A payment is in dispute. A plan can be bought when the bank has decided."


class AmountTooHigh(DomainError):
    code = "amount_too_high"
    detail = "That is more than is left of this payment."


class RefundInWholeOnly(DomainError):
    code = "refund_in_whole_only"
    detail = "This payment can be refunded in whole only."


class RefundOutdated(DomainError):
    code = "refund_outdated"
    detail = "A refund of this payment has been asked for meanwhile. Look at it again."


class ProviderCannot(DomainError):
    code = "provider_cannot"
    detail = "This cannot be done here for a plan paid this way."


class BillingUnavailable(DomainError):
    code = "billing_unavailable"
    detail = "Plans cannot be bought here."


class InvalidSignature(DomainError):
    code = "invalid_signature"
    detail = "The signature is missing, wrong or out of date."


class RateLimited(DomainError):
    """``retry_after`` is in seconds."""

    code = "rate_limited"
    detail = "Too many requests."

    def __init__(self, limit: int, retry_after: int) -> None:
        super().__init__()
        self.limit = limit
        self.retry_after = retry_after
