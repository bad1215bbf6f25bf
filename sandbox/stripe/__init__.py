"""Stripe, standing in: its objects, rules, wording and webhooks, over HTTP."""

from sandbox.stripe.standin import StripeSettings, StripeStandIn, new_secret_key, new_webhook_secret

__all__ = ["StripeSettings", "StripeStandIn", "new_secret_key", "new_webhook_secret"]
