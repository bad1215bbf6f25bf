// POSTs that move money. Each intent has one Idempotency-Key, made once and kept until there is a final answer:
// what is sent again after a lost answer is the same request, and is done once.

import { authorized, SessionEnded } from "./session.js";
import { launch } from "./telegram.js";
import { problemOf } from "./words.js";

const STORE = "countersign.agreed";
// By then whatever became of it shows in the plan itself, and a tap is a new intent.
const KEPT_MS = 15 * 60 * 1000;
const PATIENCE_MS = 60 * 1000;
const WAITS = ["in_progress", "outcome_unknown"];
let kept = recall();

function recall() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORE) ?? "{}");
    return stored.launch === launch ? (stored.kept ?? {}) : {};
  } catch {
    return {};
  }
}

function store() {
  try {
    sessionStorage.setItem(STORE, JSON.stringify({ launch, kept }));
  } catch {
    // Storage is refused in some private windows; memory alone will do.
  }
}

// What was agreed to and has no final answer yet: the same act on the same plan is the same intent, down to the amount
// that was shown; on a plan that has changed since, it is another.
export function agreed(intent, state) {
  const known = kept[intent];
  return known?.state === state && Date.now() - known.at < KEPT_MS ? known : null;
}

function agree(intent, state, asked) {
  const known = agreed(intent, state);
  if (known) return known;
  kept[intent] = { key: crypto.randomUUID(), state, at: Date.now(), ...asked };
  store();
  return kept[intent];
}

// Once one intent is answered the plan may be another: what was asked of the former plan is not asked again.
function forgetAll() {
  kept = {};
  store();
}

function isFinal(status, code) {
  if (status < 400) return true;
  if (status >= 500) return code === "billing_unavailable";
  return ![401, 408, 429].includes(status) && code !== "in_progress";
}

async function send(kind, body, key) {
  try {
    const response = await authorized(`/api/v1/billing/${kind}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(45000),
    });
    const text = await response.text();
    const code = response.ok ? "" : (problemOf(text).code ?? "internal_error");
    return {
      code,
      isFinal: isFinal(response.status, code),
      waitSeconds: Number(response.headers.get("Retry-After")) || 2,
      answer: response.ok ? JSON.parse(text) : null,
    };
  } catch (error) {
    if (error instanceof SessionEnded) throw error;
    return { code: "unreachable", isFinal: false, answer: null };
  }
}

// Ask until there is an answer or patience ends; {code: "", answer} when it was done. state: the plan it is asked of,
// asked: {body, message}, what is sent and what was agreed to.
export async function act(kind, intent, state, asked) {
  const { key, body } = agree(intent, state, asked);
  const giveUpAt = performance.now() + PATIENCE_MS;
  for (;;) {
    const told = await send(kind, body, key);
    if (told.isFinal) forgetAll();
    const waitMs = Math.min(Math.max(told.waitSeconds, 1), 15) * 1000;
    if (!WAITS.includes(told.code) || performance.now() + waitMs > giveUpAt) return told;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

// What an upgrade costs today: {message, asOf}, or {code} when nobody can say.
export async function price(tier) {
  try {
    const response = await authorized(`/app/fragments/billing/preview?tier=${encodeURIComponent(tier)}`, {
      signal: AbortSignal.timeout(20000),
    });
    const text = await response.text();
    if (!response.ok) return { code: problemOf(text).code ?? "internal_error" };
    const { agreement, asOf } = new DOMParser().parseFromString(text, "text/html").querySelector("[data-agreement]").dataset;
    return { message: agreement, asOf };
  } catch (error) {
    if (error instanceof SessionEnded) throw error;
    return { code: "unreachable" };
  }
}
