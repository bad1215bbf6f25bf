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
