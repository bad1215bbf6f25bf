// Codes of the API in the words of the person who reads them. An unknown code becomes a plain sentence.

const SENTENCES = {
  already_decided: "You have already answered this signal the other way.",
  approval_expired: "The time to answer is over. Nothing was traded.",
  approval_withdrawn: "The provider has withdrawn this signal. Nothing was traded.",
  terms_changed: "The provider has just changed the terms. Look at the new ones, then decide.",
  tier_too_low: "Your plan covers the paper account only. Nothing was traded.",
  no_account: "There is no account to trade on. Send /start to the bot to open one.",
  not_found: "This signal is no longer there.",
  rate_limited: "That was a lot at once. Wait a moment and try again.",
  unavailable: "The desk cannot do this right now. Nothing was changed; try again.",
  unreachable: "There was no answer. You can safely try again: an approval trades once, however often it is sent.",
};

const MONEY = {
  payment_refused: "The payment provider refused this. Nothing was charged.",
  payment_disputed: "A payment of yours is disputed. Until that is settled no plan can be bought.",
  provider_cannot: "This cannot be done here for a plan paid with Stars. Telegram keeps it under Settings, My Stars.",
  already_subscribed: "You have a plan already. Here is how it stands now.",
  no_subscription: "There is no plan to change. Here is how it stands now.",
  preview_outdated: "The amount has changed meanwhile. Look at the new one. Nothing was charged.",
  billing_unavailable: "Plans cannot be bought here.",
  in_progress: "This is still being done. Look again in a moment.",
  outcome_unknown: "The payment provider has not answered yet. Try again: it is done once, however often it is sent.",
  unreachable: "There was no answer. Try again: it is done once, however often it is sent.",
  unavailable: "The desk cannot do this right now. Nothing was charged; try again.",
  rate_limited: SENTENCES.rate_limited,
};

export function moneySentence(code, kind) {
  if (code === "payment_refused" && kind === "change-plan") {
    return "The payment was refused and the plan stays as it is. Check your card under Manage.";
  }
  return MONEY[code] ?? "Something went wrong on our side. Try again: it is done once, however often it is sent.";
}

// Why the amount of an upgrade cannot be told. Nothing has been asked for yet.
export function priceSentence(code) {
  if (code === "outcome_unknown") return "The payment provider does not answer right now. Nothing was changed; try again.";
  if (code === "unreachable") return "There was no answer. Nothing was changed; try again.";
  return moneySentence(code, "");
}

const TIERS = { premium: "Premium", vip: "VIP", enterprise: "Enterprise" };

export function tierName(tier) {
  return TIERS[tier] ?? "";
}

export function sentence(code) {
  return SENTENCES[code] ?? "Something went wrong on our side. Nothing was changed; try again.";
}

const TRY_AGAIN = "The desk cannot do this right now. Nothing was changed; try again.";
const BROKEN = "Something went wrong on our side. Look again in a moment before you repeat it.";

const ACCOUNTS = {
  not_found: "This is no longer there.",
  name_taken: "You have one of this name already.",
  last_account: "This is your only account. Link another one first.",
  limit_reached: "Your plan allows no more of these.",
  account_not_verified: "An account that is not verified cannot be the primary one.",
  invalid_request: "This was not understood. Check what you wrote.",
  unavailable: TRY_AGAIN,
  unreachable: "There was no answer. Look again in a moment whether it was done.",
  rate_limited: SENTENCES.rate_limited,
};

export function accountSentence(code) {
  return ACCOUNTS[code] ?? BROKEN;
}

// Why an account could not be verified, and what helps.
const UNVERIFIED = {
  wrong_password: "The broker refused login or password. Check both; capitals count.",
  too_many_wrong_passwords: "Too many wrong passwords were tried for this account. Wait an hour, or the broker may lock it.",
  otp_required: "This account asks for a one-time password, which the desk cannot give. Use the Expert Advisor instead.",
  broker_unknown: "No server of this name was found. Copy it from MetaTrader's sign-in window.",
  terminal_missing: "This desk has no MT5 terminal, so it cannot sign in. Use the Expert Advisor instead.",
  terminal_hangs: "The broker did not answer in time. Nothing was linked; try again in a minute.",
  terminal_busy: "Many accounts are being linked just now. Try again in a minute.",
  terminal_lost: "The terminal broke off. Nothing was linked; try again.",
  terminal_away: "The terminal is not connected just now. Nothing was linked; try again in a minute.",
  wrong_account: "Another account than this one answered. Check login and server.",
  no_snapshot: "The device has not reported yet. Keep the terminal open with the EA on a chart.",
  device_offline: "The device has not reported for a while. Start its terminal with the EA on a chart.",
  device_revoked: "This device was revoked. Register another one.",
};

const LINKS = {
  already_linked: "This account is linked already.",
  tier_too_low: "Your plan covers the paper account only.",
  unreachable: "There was no answer. If the account is linked after all, it appears under Accounts.",
};

export function linkSentence({ code, reason }) {
  if (code === "account_not_verified") return UNVERIFIED[reason] ?? "The account could not be verified. Check login, server and password.";
  return LINKS[code] ?? accountSentence(code);
}

const SYMBOLS = {
  unknown_symbol: "Your broker has no symbol of this name. Capitals and suffixes count.",
  symbol_unconfirmed: "That symbol is something else: its currencies or contract size do not fit.",
};

export function symbolSentence({ code, reason }) {
  if (code === "invalid_request") return SYMBOLS.unknown_symbol;
  return SYMBOLS[reason] ?? SYMBOLS[code] ?? accountSentence(code);
}

// What stands in the way of closing a position or moving its stop.
const ACTS = {
  position_closed: "it is closed already.",
  not_found: "it is no longer there.",
  position_busy: "Something is being done with this position already. Wait until it is finished.",
  order_refused: "The broker refused. Nothing was changed.",
  unavailable: "The terminal does not answer. Nothing was sent.",
  unreachable: "There was no answer. It may still be carried out; it is never done twice. Look again in a moment.",
  rate_limited: SENTENCES.rate_limited,
};

export function actSentence(code) {
  return ACTS[code] ?? BROKEN;
}

const REASONS = {
  not_enough_money: "There is not enough free margin.",
  stop_beyond_price: "The price has already passed that stop.",
  volume_below_minimum: "That is below the broker's smallest volume.",
  unknown_account: "The terminal does not know the account.",
  view_only: "This link can only watch. Unlink the account and link it with its main password.",
  only_in_its_terminal: "Positions of this account are changed in your own terminal.",
  account_broken: "The link to this account is broken. Mend it on the Accounts page first.",
  account_unlinked: "The account is not linked any more.",
  trading_disabled: "Trading is switched off in the terminal.",
  remainder_below_minimum: "What would be left is below the broker's smallest volume.",
  volume_above_open: "Less than that is open by now.",
  volume_not_in_steps: "That volume does not fit the broker's steps.",
  position_closed: "It is closed already.",
  position_changed: "The position has changed meanwhile. Look at it again.",
  not_executed: "The broker has not carried it out. Nothing was changed.",
};

// Why the broker, or a check before it, refused. A broker's own words are shown as they are.
export function reasonSentence(reason, error) {
  return REASONS[reason] ?? (error ? `The broker refused: ${error}` : ACTS.order_refused);
}

const FEEDS = {
  unavailable: "Your terminal does not answer right now.",
  unreachable: "There is no connection to the desk.",
  outcome_unknown: "The payment provider does not answer right now.",
  rate_limited: "That was a lot at once. It goes on in a moment.",
};

export function feedSentence(code) {
  return FEEDS[code] ?? "Something went wrong on our side.";
}

// A problem details body, empty when it is not one.
export function problemOf(text) {
  try {
    const found = JSON.parse(text);
    return found?.code ? found : {};
  } catch {
    return {};
  }
}

export function codeOf(text) {
  return problemOf(text).code ?? "";
}
