"""Every sentence of the chat in one place. Short, plain, and saying what to do next."""

from html import escape

from models.order import OrderStatus
from services import reasons, tiers
from services.errors import AccountNotVerified, DomainError, OrderRefused, TierTooLow

COMMANDS = {
    "start": "Open the desk",
    "signals": "What waits for your answer",
    "positions": "Your open positions",
    "close": "Close a position",
    "accounts": "Your accounts, and which one trades",
    "devices": "Your terminals: add one, see whether it reports",
    "plan": "Your plan and when it renews",
    "receipt": "Your last payment",
    "paysupport": "Help with a payment",
    "settings": "Sound, plan, volume",
    "why": "The reasoning behind a signal",
    "help": "How this works",
    "privacy": "What we keep about you",
    "terms": "The rules, and the risk",
}

WELCOME = (
    "<b>Welcome to the desk, {name}.</b>\n"
    "Signals arrive here as cards. Nothing trades until you tap <b>Approve</b>.\n\n"
    "You have a paper account: {balance} of practice money. Try everything, risk nothing."
)
WELCOME_PLAIN = (
    "<b>Welcome to the desk, {name}.</b>\n"
    "Signals arrive here as cards. Nothing trades until you tap <b>Approve</b>."
)
WELCOME_BACK = "<b>You are signed in, {name}.</b>\nNew signals arrive here by themselves."
HELP = (
    "<b>How it works</b>\n"
    "1. A provider publishes a signal; you get a card with entry, stop, targets and what it costs at the stop.\n"
    "2. <b>Approve</b> sends exactly those terms to your account, once. <b>Reject</b> lets it pass.\n"
    "3. No answer in time means no trade. If the terms change, you get a new card and are asked again.\n\n"
    "{commands}"
)
NO_SIGNALS = "No signals wait for you. They arrive here by themselves."
SIGNALS_HEAD = "<b>Latest signals</b>"
SIGNAL_STATES = {"pending": "waiting for you", "approved": "approved", "rejected": "rejected", "expired": "expired",
                 "withdrawn": "withdrawn"}
NO_POSITIONS = "No open positions."
POSITIONS_AS_OF = "As of {clock}"
POSITIONS_STALE = "⚠️ The terminal does not answer; figures from {clock}."
ACCOUNT_SILENT = "<b>{account}</b>\nIts terminal does not answer. Tried at {clock}."
NO_DEVICES = (
    "You have no device yet.\nA device is one MetaTrader terminal with the Countersign EA on a chart. It trades what "
    "you approve; your broker password stays in the terminal."
)
DEVICES_HEAD = "<b>Your devices</b>"
DEVICE_STATES = {"active": "🟢 active", "offline": "⚪ offline", "revoked": "⛔ revoked"}
DEVICE_LOOSE = "not linked yet"
DEVICE_NOT_TRADING = "⚠️ trading is switched off in its terminal"
ADD_DEVICE, REVOKE_SOME = "＋ Add a device", "Revoke {device}…"
REVOKE_ASK = (
    "<b>Revoke {device}?</b>\nIts terminal stops receiving orders now, for good.{account} Open positions stay open at "
    "your broker. To use it again you pair it anew."
)
REVOKE_ACCOUNT = " {account} is no longer reported, unless another device reports it."
REVOKE_YES, REVOKE_NO, REVOKE_KEPT = "Revoke {device}", "Keep it", "It stays as it is."
REVOKED = "{device} is revoked."
PAIRING_MADE = "Here is your code."
PAIRING = (
    "<b>Pair a terminal</b>\n<code>{code}</code>\nGood for one terminal, until {clock}. Give it to nobody.\n\n"
    "1. On the computer with MetaTrader 5 download\n<code>{desk}/ea.zip</code>\nand unpack it into the folder of File, "
    "Open Data Folder.\n"
    "2. Open MQL5/Experts/Countersign.mq5 there and press F7.\n"
    "3. In MetaTrader 5: Tools, Options, Expert Advisors. Allow WebRequest for\n<code>{desk}</code>\n"
    "4. Drag Countersign from the Navigator onto any chart and allow algo trading.\n"
    "5. Paste this address and the code into its inputs and press OK.\n\nYou are told here when it is paired."
)
DEVICE_LIMIT_MORE = " {tier} allows more."
LINK_ACCOUNT = "Link its account"
DEVICE_PAIRED = (
    "✅ <b>{device}</b> is paired.\nIt says it stands at <code>{login}</code> · {server}. Until its account is linked "
    "in the app nothing is sent there.\nWas that not you? Revoke it at once."
)
DEVICES_QUIET = (
    "⚠️ Nothing is heard of {devices}{since}.\n{account}: {open}. Nothing new is sent there meanwhile. Stops and "
    "targets that your broker holds stay in force.\nSee that the terminal runs, is online and has Algo Trading on."
)
QUIET_SINCE, QUIET_EVER = " since {clock}", " so far"
QUIET_OPEN = {"positions": ("1 position is open", "{count} positions are open"),
              "orders": ("1 order is under way", "{count} orders are under way")}
DEVICES_BACK = "✅ {devices} {report} again.{account}"
BACK_ACCOUNT = " {account} is served."
DEVICE_NEW, DEVICE_SEEN = "waiting for its first report", "seen {span} ago"
NO_ANSWER = "no figures yet"
REFRESH, CLOSE_SOME, BACK_TO_POSITIONS = "↻ Refresh", "Close…", "‹ Positions"
JUST_UPDATED, UPDATED = "These figures are new already.", "Updated."
NOTHING_TO_CLOSE = "<b>{account}</b>\nNothing is open here."
CLOSE_IN_TERMINAL = "<b>{account}</b>\nYour EA trades what you approve. Close its positions in your terminal."
CLOSE_WHICH = "<b>{account}</b>\nWhich position do you want to close? You are asked again before anything is sent."
MORE_IN_APP = "\n… and {count} more in the app."
CLOSE_ASK = (
    "<b>Close this position?</b>\n{line}\n{lots} lots on {account} are closed at the market, at {clock} worth about "
    "<b>{result}</b>. This cannot be undone."
)
CLOSE_YES, CLOSE_NO = "Close {lots} lots", "Keep it"
CLOSING = "Closing…"
POSITION_CHANGED = "The position has changed. Look at it again."
CLOSE_FAILED = "⚠️ <b>{symbol}</b> was not closed.\n{why}"
ACT_CLOSED = "Closed {lots} lots{at}."
TARGET_REACHED = "Target {target} of {targets} reached: closed"
TARGET_REFUSED = "The price has reached target {target} of {targets}, but its part was not closed: {why}. " \
                 "It is tried again while the price is there."
ACT_MOVED = "Stop and target are set."
ACT_OPEN = "The broker has not answered yet. It is asked what became of it, and nothing is sent twice."
ACT_REFUSED = {True: "Not closed: {why}.", False: "Stop and target not changed: {why}."}
MAKE_PRIMARY = "Make primary: {account}"
PRIMARY_SET = "Approved signals go to {account} now."
PRIMARY_BEFORE = "{account} is your primary account already."
ACCOUNT_VERIFIED, ACCOUNT_WATCHED, ACCOUNT_PENDING = "✓ verified", "view only", "not verified yet"
ACCOUNT_TROUBLED = "⚠️ {why}"
NO_ACCOUNT = "You have no account to trade on yet. /start opens a paper account."
ACCOUNTS_HEAD = "<b>Your accounts</b>\nApproved signals go to the one with the star."
SETTINGS = (
    "<b>Settings</b>\nPlan: <b>{tier}</b>\nNew cards: <b>{notice}</b>\nVolume: <b>{sizing}</b>\n\n"
    "/privacy says what we keep about you."
)
PLAN = "Plan: <b>{tier}</b>\n{status}"
PLAN_STATES = {
    "free": "No payments. The app shows what the other plans cover.",
    "granted": "Active until {date}",
    "active": "Active, renews {date}",
    "trialing": "Trial until {date}",
    "ends": "Ends {date}",
    "changes": "Until {date}, then {then}",
    "unpaid": "Payment under way",
    "incomplete": "Payment not finished. Finish it in the app.",
    "past_due": "⚠️ Payment failed, access until {date}. Settle it in the app.",
    "lapsed": "⚠️ Payment failed, access has ended. Settle it in the app.",
}
NO_RECEIPT = "No payments yet. /plan shows your plan."
RECEIPT = "Paid <b>{amount}</b> · {paid}\nConfirmed by {provider} · {heard}\n{opened}"
RECEIPT_OPENED = {
    "under_way": "Your plan is being updated. /plan shows it.",
    "until": "{tier} until {until}",
    "was_until": "{tier} was open until {until}",
    "refund": "Refunded {revoked}, {tier} has ended",
    "dispute": "Disputed {revoked}, {tier} is closed meanwhile",
    "revoked": "{tier} was taken back {revoked}",
}
PAYERS = {"stripe": "Stripe", "telegram": "Telegram"}
# What admins read. These commands are in no list: to everybody else they do not exist.
GRANT_USAGE = "Send <code>/grant &lt;telegram id&gt; &lt;tier&gt; &lt;days&gt; [reason]</code>. Tiers: {tiers}."
GRANTED = "<b>{name}</b> (<code>{telegram_id}</code>) has {tier} until {until}."
STRANGER = "Nobody with this Telegram id has started the bot."
REFUND_USAGE = "Send <code>/refund &lt;charge or invoice&gt; [amount]</code>; without an amount all that is left."
NO_CHARGE = "The books know no payment of this name."
NOTHING_LEFT = "Nothing is left of this payment to refund."
REFUND_ASK = (
    "Refund <b>{amount}</b> to <b>{name}</b> (<code>{telegram_id}</code>)?\n"
    "Paid {paid} · {left} left\n<code>{charge}</code>"
)
REFUND_DONE = "✅ Refunded <b>{amount}</b> to <b>{name}</b>.\n<code>{charge}</code>"
REFUND_OPEN = (
    "⏳ The payment provider has not answered yet. It is asked again by itself and refunds once; "
    "/payments shows how it ends."
)
REFUND_FAILED = "❌ The payment provider refused: {why}"
REFUND_CANCELLED = "Nothing was refunded."
CONFIRM, CANCEL = "Confirm refund", "Cancel"
PAYMENTS_HEAD = "<b>{name}</b> · <code>{telegram_id}</code> · {tier}"
PAYMENTS_PARTS = {"movements": "Payments", "subscriptions": "Subscriptions", "grants": "Grants", "open": "Under way",
                  "dead": "Events not applied"}
NO_MOVEMENTS = "No payments."
PAY_SUPPORT = (
    "Questions about a payment go to {support}.\n\n"
    "Stars can be given back in whole; the plan they paid for ends then. Write what you bought and when; /receipt "
    "shows it. Telegram's own support cannot help with purchases made here."
)
PLAN_RUNS = "You have this plan already."
INVOICE_READY, PAY_STARS, BUY_FOR_STARS = "Your invoice is ready.", "Pay with Stars", "{tier} · {price} a month"
NOT_FOR_SALE = {
    "closed": "Plans cannot be bought here.",
    "order_unknown": "This invoice is out of date. Please choose the plan again.",
    "order_of_another": "This invoice belongs to somebody else. Please choose a plan yourself.",
    "order_changed": "The price has changed. Please choose the plan again.",
    "order_paid": "This invoice is paid already.",
    "already_subscribed": "You have a plan already. /plan shows it.",
}
NOTICE = {"on": "with sound", "silent": "silent"}
NOTICE_BUTTON = {"on": "🔔 With sound", "silent": "🔕 Silent"}
NOTICE_SET = {"on": "New cards make a sound.", "silent": "New cards arrive silently."}
WHY_WHICH = "Which signal? Send /why with its number, for example <code>/why 12</code>. /signals lists them."
WHY_UNKNOWN = "You have no signal of that number. /signals lists yours."
WHY_NO_NOTE = "The provider gave no reasoning."
PRIVACY = (
    "<b>What we keep</b>\n"
    "Your Telegram id and name, your answers to signals with their time and terms, your accounts and orders. "
    "Account passwords and keys are encrypted; we never show them again.\n"
    "We do not sell data and send none to third parties except the broker that executes your order. "
    "To have your data deleted, write to the operator of this bot."
)
TERMS = (
    "<b>The rules, and the risk</b>\n"
    "Signals are opinions of their providers, not advice. Trading on margin can lose more than a single trade "
    "suggests; past results say nothing of future ones. You decide on every order, and an order you approve is "
    "yours. The paper account uses practice money and a simulated market."
)
UNKNOWN_COMMAND = "I do not know that. /help lists what I understand."
ONLY_PRIVATE = "I work in private chats only. Open me directly."
OUTDATED_BUTTON = "This button is out of date."
FAILED = "Something went wrong on our side. Nothing was changed; please try again."

APPROVED, REJECTED = "Approved. Sending the order.", "Rejected."
APPROVED_BEFORE, REJECTED_BEFORE = "You have approved this already.", "You have rejected this already."

OPEN_APP, APPROVE, REJECT, SEE_PLANS = "Open app", "Approve", "Reject", "See the plans"

LINK_BROKEN = (
    "⚠️ <b>{account}</b> is no longer connected: {why}.\nNothing is traded on it until you link it again in the app."
)
OPEN_INVOICE = "Open invoice"
# What is said when money has moved, or has to.
MONEY = {
    "paid": "✅ Payment received, thank you. /plan shows your plan.",
    "event_dead": "⚠️ A payment event could not be applied after a day of tries. /readyz?details=1 names it.",
    "stars_unordered": "⚠️ Stars were paid that belong to no order. They are in the books and opened no plan.",
    "money_act_failed": "⚠️ A refund, or the end of a subscription, was not carried out. The log names it; please "
                        "see to it at the payment provider.",
    "action_required": "⚠️ Your bank wants you to confirm the payment. Without that your plan is not renewed.",
    "second_subscription": "You had two plans running at once, so the older one has been ended.",
    "second_subscription_refunded": "You had two plans running at once, so the older one has been ended and its last "
                                    "payment refunded.",
    "dispute_lost": "Your bank has taken a payment back, so the plan it paid for has been ended.",
    "trial_ends": "Your trial ends in a few days; then the first payment is taken. /plan lets you cancel before.",
}

# A reply for every code of services/errors; the tests see to it.
ERRORS = {
    "error": "This cannot be done.",
    "unauthenticated": "Please send /start first.",
    "invalid_init_data": "Please open the app again.",
    "not_found": "This is not yours, or it does not exist any more.",
    "no_account": "You have no account to trade on. Send /start to open a paper account.",
    "account_not_verified": "This account could not be verified. Check login, server and password in the app.",
    "already_linked": "This account is linked already.",
    "limit_reached": "Your plan does not allow more. The app shows the plans that do.",
    "last_account": "This is your only account. Link another one first.",
    "name_taken": "You have one of this name already.",
    "position_closed": "This position is no longer open.",
    "snapshot_unknown": "The desk does not have that report any more.",
    "lease_lost": "The order has gone to another device.",
    "already_begun": "The order is being traded already.",
    "order_expired": "The order's time is over.",
    "envelope_required": "This device has to seal what it sends.",
    "envelope_broken": "What the device sealed cannot be opened.",
    "counter_used": "The device has to count on from another number.",
    "position_busy": "Something else is being done with this position. Please wait a moment.",
    "order_refused": "The broker refused. Nothing was changed.",
    "invalid_request": "I could not read that.",
    "contradictory_levels": "The levels contradict the side.",
    "external_id_reused": "This id belongs to another signal.",
    "signal_ended": "This signal is no longer open.",
    "already_decided": "You have already answered this the other way.",
    "approval_expired": "Too late: the time to answer is over. Nothing was traded.",
    "approval_withdrawn": "The provider has withdrawn this signal. Nothing was traded.",
    "terms_changed": "The terms have changed. Please look at the new card.",
    "tier_too_low": "Your plan covers the paper account only.",
    "unavailable": "A part of the desk is not reachable. Nothing was changed; try again in a moment.",
    "idempotency_key_required": "I could not read that.",
    "idempotency_key_reused": "I could not read that.",
    "in_progress": "This is being done already. Please wait a moment.",
    "outcome_unknown": "The payment provider has not answered yet. Please try again in a moment.",
    "payment_refused": "The payment was refused. Please check your card.",
    "already_subscribed": "You have a plan already. Change it instead.",
    "no_subscription": "You have no paid plan.",
    "preview_outdated": "The amount is out of date. Please look at the new one. Nothing was charged.",
    "provider_cannot": "That cannot be done here for a plan paid with Stars. Telegram: Settings, My Stars.",
    "payment_disputed": "Your bank is looking into a payment. You can buy a plan when that is decided.",
    "amount_too_high": "That is more than is left of this payment.",
    "refund_in_whole_only": "This payment can be refunded in whole only.",
    "refund_outdated": "This payment has been refunded meanwhile, or a refund was tried. Please look again.",
    "billing_unavailable": "Plans cannot be bought here.",
    "invalid_signature": "I could not read that.",
    "rate_limited": "Too fast. Please wait a moment.",
}

# Why an order was not sent, or how it ended.
REASONS = reasons.WORDS

ORDER_STATES = {
    OrderStatus.QUEUED: "sending the order", OrderStatus.LEASED: "sending the order",
    OrderStatus.SENT: "sending the order", OrderStatus.UNKNOWN: "asking the broker what became of the order",
}


def error(of: DomainError) -> str:
    """The reply for an error of the desk."""
    if isinstance(of, TierTooLow):
        return f"Your plan covers the paper account only. Trading live needs the {tiers.title(of.needed)} plan."
    if isinstance(of, OrderRefused | AccountNotVerified) and of.reason in REASONS:
        why = REASONS[of.reason]
        return f"{why[0].upper()}{why[1:]}. Nothing was changed."
    return ERRORS.get(of.code, ERRORS["error"])


def reason(code: str | None, detail: str | None = None) -> str:
    """Why, in words; an unknown code is never shown raw."""
    if code == "rejected_by_terminal" and detail:
        return f"the broker refused it ({escape(detail)})"
    return REASONS.get(code or "", "it could not be executed")
