"""The hosted pages' HTML: what each shows, from the world's objects."""

from datetime import UTC, datetime
from html import escape

from sandbox.stripe import subscriptions
from sandbox.stripe.currencies import display, offered, unit_amount
from sandbox.stripe.world import Object, World

PRACTICE = '<p class="practice">Practice page: no real card, no real money.</p>'


def document(title: str, body: str) -> str:
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<link rel="stylesheet" href="/stripe/style.css"></head><body><main>{PRACTICE}{body}</main></body></html>')


def button(action: str, label: str, *, main: bool = False) -> str:
    return (f'<button name="action" value="{escape(action)}" data-testid="stripe-{escape(action)}"'
            f'{" class=main" if main else ""}>{escape(label)}</button>')


def form(*inner: str, url: str = "") -> str:
    where = f' action="{escape(url)}"' if url else ""
    return f'<form method="post"{where}>{"".join(inner)}</form>'


def day(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%-d %B %Y")


def notice(error: str) -> str:
    return f'<p class="error" role="alert">{escape(error)}</p>' if error else ""


def pay_page(world: World, session: Object, error: str = "") -> str:
    lines = "".join(f'<div class="row"><span>{line["quantity"]} × {escape(line["description"])}</span>'
                    f'<span>{display(line["amount_subtotal"], line["currency"])}</span></div>'
                    for line in session["_line_items"])
    off = session["total_details"]["amount_discount"]
    if off:
        lines += f'<div class="row good"><span>Discount</span><span>{display(-off, session["currency"])}</span></div>'
    trial = session["_subscription_data"].get("trial_period_days")
    words = f'<p class="soft">{trial} days free, then as above.</p>' if trial else ""
    promotion = ('<input name="promotion_code" placeholder="Promotion code" aria-label="Promotion code">'
                 if session["allow_promotion_codes"] else "")
    return document("Checkout", (
        f'<section><h1>Due today</h1><p class="amount">{display(session["amount_total"], session["currency"])}</p>'
        f"{words}{lines}</section><section><h2>Pay with a practice card</h2>{notice(error)}"
        + form(promotion, button("pay", "Pay", main=True),
               button("require_action", "Pay with a card that asks for 3-D Secure"),
               button("decline", "Pay with a card that is declined"),
               button("pay_later", "Pay by bank debit, known in days"),
               button("abandon", "Leave without paying")) + "</section>"))


def challenge_page(amount: str) -> str:
    return document("3-D Secure", (
        f"<section><h1>Your bank asks: is it you?</h1><p class=soft>A payment of {amount}.</p>"
        + form(button("authenticate", "Yes, confirm", main=True), button("refuse", "No, refuse")) + "</section>"))


def done_page(title: str, text: str) -> str:
    return document(title, f"<section><h1>{escape(title)}</h1><p>{escape(text)}</p></section>")


def portal_page(world: World, session: Object, error: str = "") -> str:
    live = [known for known in world.of_kind("subscription")
            if known["customer"] == session["customer"] and known["status"] not in subscriptions.ENDED]
    parts = "".join(_subscription(world, known) for known in live[::-1])
    back = (f'<p><a href="{escape(session["return_url"])}" data-testid="stripe-return">Back</a></p>'
            if session["return_url"] else "")
    return document("Your subscription", (
        f"<section><h1>Your subscription</h1>{notice(error)}{back}</section>"
        + (parts or "<section><p>No subscription.</p></section>") + _invoices(world, session["customer"])))


def invoice_page(invoice: Object, error: str = "") -> str:
    due = display(invoice["amount_remaining"], invoice["currency"])
    pay = form(button("pay", "Pay", main=True), button("require_action", "Pay with 3-D Secure"),
               button("decline", "Pay with a card that is declined")) if invoice["status"] == "open" else ""
    return document(f"Invoice {invoice['number']}", (
        f'<section><h1>Invoice {escape(invoice["number"] or "")}</h1><p class="amount">{due}</p>'
        f'<p><span class="badge">{invoice["status"]}</span> '
        f'<a href="{escape(invoice["invoice_pdf"] or "")}">PDF</a></p>'
        f"{notice(error)}{pay}</section>"))


def pdf(invoice: Object) -> bytes:
    """A page with number and sum, the smallest document readers accept."""
    words = f"Invoice {invoice['number']}: {display(invoice['total'], invoice['currency'])} ({invoice['status']})"
    stream = f"BT /F1 18 Tf 60 760 Td ({words}) Tj ET".encode("latin-1", "replace")
    stream = stream.replace(b"(" + words.encode("latin-1", "replace") + b")",
                            b"(" + words.replace("(", "\\(").replace(")", "\\)").encode("latin-1", "replace") + b")")
    parts = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
             b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
             b"/Resources << /Font << /F1 5 0 R >> >> >>",
             b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
             b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    made, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return made + b"xref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        table, len(made))


def _subscription(world: World, subscription: Object) -> str:
    item, currency = subscription["items"]["data"][0], subscription["currency"]
    until = day(item["current_period_end"])
    ends = subscription["cancel_at_period_end"]
    hidden = f'<input type="hidden" name="subscription" value="{subscription["id"]}">'
    switches = "".join(
        form(hidden, f'<input type="hidden" name="price" value="{price["id"]}">',
             button("switch", f"Switch to {world.get(price['product'])['name']}, "
                              f"{display(unit_amount(price, currency), currency)} a {price['recurring']['interval']}"))
        for price in world.of_kind("price")
        if price["active"] and price["recurring"] and currency in offered(price)
        and price["id"] != item["price"]["id"])
    card = button("card", "Replace the card by one that works") if subscription["_card"] != "ok" else ""
    return (f'<section><h2>{escape(world.get(item["price"]["product"])["name"])} '
            f'<span class="badge">{subscription["status"]}</span></h2>'
            f'<p class="soft">{"Ends" if ends else "Renews"} on {until}</p>'
            + form(hidden, button("resume", "Resume", main=True) if ends else button("cancel", "Cancel"), card)
            + switches + "</section>")


def _invoices(world: World, customer: str) -> str:
    rows = [known for known in world.of_kind("invoice") if known["customer"] == customer and known["number"]]
    shown = "".join(f'<div class="row"><a href="{escape(known["hosted_invoice_url"])}">{known["number"]}</a>'
                    f'<span>{display(known["total"], known["currency"])} <span class="badge">{known["status"]}</span>'
                    "</span></div>" for known in rows[::-1])
    return f"<section><h2>Invoices</h2>{shown or '<p>None yet.</p>'}</section>"
