"""Telegram's Bot API, standing in: its methods, limits, wording and delivery, over HTTP."""
