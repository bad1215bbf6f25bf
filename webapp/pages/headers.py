"""Headers of the Mini App's pages: what a page may load, and who may show it in a frame."""

# The Telegram script adds one empty <style> element; this is the hash of nothing.
EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
TELEGRAM_FRAMES = ("https://web.telegram.org", "https://*.telegram.org")


def content_security_policy(console_origin: str | None) -> str:
    """Everything from ourselves, nothing inline; frames only in Telegram, and in the console where there is one."""
    ancestors = " ".join((*TELEGRAM_FRAMES, console_origin) if console_origin else TELEGRAM_FRAMES)
    return "; ".join((
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' {EMPTY_STYLE}",
        "connect-src 'self'",
        "img-src 'self' data:",
        f"frame-ancestors {ancestors}",
        "base-uri 'none'",
        "form-action 'self'",
    ))


def of_page(console_origin: str | None) -> dict[str, str]:
    """For an HTML page. No X-Frame-Options: it knows no list, and Telegram Web shows the page in a frame."""
    return {
        "Content-Security-Policy": content_security_policy(console_origin),
        "Cache-Control": "no-cache",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    }


def of_fragment(console_origin: str | None) -> dict[str, str]:
    """For a piece of a page with somebody's data in it."""
    return of_page(console_origin) | {"Cache-Control": "no-store", "Vary": "Authorization"}
