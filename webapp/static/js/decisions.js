// Approve and reject: one tap, through the same door as every other client of the API.

import { offerUpgrade } from "./billing_sheet.js";
import * as feeds from "./feeds.js";
import { authorized, SessionEnded } from "./session.js";
import * as telegram from "./telegram.js";
import { toast } from "./toasts.js";
import { problemOf, sentence } from "./words.js";

// After these the card cannot be answered any more, so it goes and the sentence stays.
const FINAL = ["already_decided", "approval_expired", "approval_withdrawn", "not_found"];
const PATIENCE = 15;
const decided = new Set();

async function post(id, verb, body) {
  try {
    const response = await authorized(`/api/v1/approvals/${id}/${verb}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(15000),
    });
    return response.ok ? null : { code: "internal_error", ...problemOf(await response.text()) };
  } catch (error) {
    if (error instanceof SessionEnded) throw error;
    return { code: "unreachable" };
  }
}

async function decide(button) {
  const card = button.closest("[data-approval]");
  if (card.hasAttribute("aria-busy") || !feeds.isSettled()) return;
  const { approval: id, terms, symbol } = card.dataset;
  const verb = button.dataset.decide;
  telegram.tap();
  hold(card, button);
  let problem;
  try {
    problem = await post(id, verb, verb === "approve" ? { terms_hash: terms } : {});
  } catch {
    release(card);
    document.dispatchEvent(new CustomEvent("session:ended"));
    return;
  }
  if (problem) refused(card, id, problem);
  else await done(card, id, symbol, verb);
}

// While the answer is on its way the card is left alone by updates of the list.
function hold(card, button) {
  card.setAttribute("aria-busy", "true");
  card.setAttribute("hx-morph-skip", "");
  card.querySelector("[data-card-error]").hidden = true;
  for (const each of card.querySelectorAll("[data-decide]")) {
    each.dataset.was = each.disabled;
    each.disabled = true;
  }
  button.classList.add("busy");
}

function release(card) {
  card.removeAttribute("aria-busy");
  card.removeAttribute("hx-morph-skip");
  for (const each of card.querySelectorAll("[data-decide]")) {
    each.disabled = each.dataset.was === "true";
    delete each.dataset.was;
    each.classList.remove("busy");
  }
}

function refused(card, id, { code, needed_tier: needed }) {
  telegram.notify("error");
  release(card);
  feeds.forget("pending");
  feeds.refresh("pending");
  if (FINAL.includes(code) || !card.isConnected) {
    toast(id, sentence(code), "bad");
    return;
  }
  const line = card.querySelector("[data-card-error]");
  line.textContent = sentence(code);
  line.hidden = false;
  if (code === "tier_too_low") offerUpgrade(needed);
}

async function done(card, id, symbol, verb) {
  telegram.notify(verb === "approve" ? "success" : "warning");
  toast(id, verb === "approve" ? `${symbol} approved. Sending the order.` : `${symbol} rejected.`, "good");
  decided.add(id);
  feeds.oneLess();
  await leave(card, verb);
  feeds.forget("pending");
  feeds.refresh("pending");
  if (feeds.isLoaded("decided")) feeds.refresh("decided");
  if (verb === "approve") await follow(id, symbol);
}

async function leave(card, verb) {
  if (!card.isConnected) return;
  const height = card.offsetHeight;
  card.classList.add("gone", verb);
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
    const frames = [{ height: `${height}px` }, { height: `${height}px`, offset: 0.5 }, { height: 0, padding: 0, margin: 0 }];
    await card.animate(frames, { duration: 200, easing: "ease-in" }).finished.catch(() => {});
  }
  const hadFocus = card.contains(document.activeElement) || document.activeElement === document.body;
  card.remove();
  if (hadFocus) feeds.element("pending").focus({ preventScroll: true });
}

// A list that was asked for before the decision and arrives after it still has the card in it.
function prune(event) {
  if (event.detail !== "pending") return;
  for (const card of feeds.element("pending").querySelectorAll("[data-approval]")) {
    if (decided.has(card.dataset.approval) && !card.hasAttribute("aria-busy")) card.remove();
  }
}

// Tell what became of the order, as soon as it is known.
async function follow(id, symbol) {
  for (let tries = 0; tries < PATIENCE; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const row = await outcome(id);
    if (row?.dataset.settled !== "true") continue;
    const isBad = row.dataset.tone === "warn";
    telegram.notify(isBad ? "error" : "success");
    toast(id, `${symbol}: ${row.querySelector("[data-outcome]")?.textContent ?? "done"}`, isBad ? "bad" : "good");
    if (feeds.isLoaded("decided")) feeds.refresh("decided");
    return;
  }
}

async function outcome(id) {
  try {
    const response = await authorized(`/app/fragments/approvals/${id}`);
    if (!response.ok) return null;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    return page.querySelector("[data-settled]");
  } catch {
    return null;
  }
}

export function listen() {
  document.addEventListener("feed:ready", prune);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-decide]");
    if (button && !button.disabled) decide(button);
  });
}

// The time of these cards is over: nothing can be decided on them, the list will take them away.
export function close(times) {
  const cards = times.map((time) => time.closest("[data-approval]")).filter((card) => card && !card.dataset.over);
  for (const card of cards) {
    card.dataset.over = "true";
    for (const each of card.querySelectorAll("[data-decide]")) each.disabled = true;
  }
  return cards.length > 0;
}
