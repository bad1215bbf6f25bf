// The Plan page: asks before money moves, sends people to the payment pages, and waits for what comes of it.

import * as feeds from "./feeds.js";
import { act, agreed, price } from "./billing_money.js";
import * as sheet from "./billing_sheet.js";
import { SessionEnded } from "./session.js";
import * as telegram from "./telegram.js";
import { toast } from "./toasts.js";
import { moneySentence, priceSentence, tierName } from "./words.js";

const LONG_MS = 60000;
// Who has not come back from the payment page by then has thought better of it.
const ABANDONED_MS = 600000;
const NOTICES = {
  paid: ["Payment received, your plan is being updated.",
    "Payment received. The update takes longer than usual and happens by itself; there is nothing to pay again."],
  outside: ["Finish the payment in your browser. This page updates by itself."],
  stars: ["Your payment is being confirmed. This page updates by itself."],
  change: ["Your plan is being updated.", "The payment for the new plan is not through yet. Your plan changes as soon as it is."],
};

// Whether this page was opened by the payment page after paying.
export const isReturn = new URLSearchParams(location.search).get("paid") === "1";

let isBusy = false;
let seen = "";
// What is being waited for: {notice, since, tier}; tier "" is for whatever was bought.
let waiting = isReturn ? { notice: "paid", since: performance.now(), tier: "" } : null;

function plan() {
  return document.querySelector("[data-plan]");
}

function showNotice() {
  if (waiting?.notice === "outside" && performance.now() - waiting.since > ABANDONED_MS) waiting = null;
  const line = document.getElementById("billing-notice");
  line.hidden = waiting === null;
  if (!waiting) return;
  const [first, later] = NOTICES[waiting.notice];
  const text = later && performance.now() - waiting.since > LONG_MS ? later : first;
  if (line.textContent !== text) line.textContent = text;
}

function wait(notice, tier = "") {
  waiting = { notice, since: performance.now(), tier };
  showNotice();
}

function isThere({ tier }) {
  const { dataset } = plan();
  return tier ? dataset.tier === tier : dataset.bought === "true";
}

// The plan has been told anew: look whether what one waits for has come, and whether there is a new invoice.
function onPlan() {
  const { state, name } = plan().dataset;
  if (waiting && isThere(waiting)) {
    toast("billing", waiting.notice === "paid" ? `Payment received. Your plan is ${name}.` : `Your plan is ${name} now.`, "good");
    telegram.notify("success");
    waiting = null;
    if (isReturn) history.replaceState(history.state, "", location.pathname);
  }
  showNotice();
  if (state === seen) return;
  feeds.refresh("invoices");
  bringCurrent();
  seen = state;
}

// The plan one has stands first in the row, or the one somebody came for; the others are a swipe away.
function bringCurrent() {
  const row = document.getElementById("plan-cards");
  const card = document.getElementById(`offer-${sheet.takeWanted()}`);
  if (card) row.scrollIntoView({ block: "center" });
  row.scrollLeft = (card ?? row.querySelector("[aria-current]")).offsetLeft - row.firstElementChild.offsetLeft;
}

async function onTap(button) {
  if (isBusy || button.disabled) return;
  isBusy = true;
  telegram.tap();
  try {
    const provider = "choose" in button.dataset ? await sheet.choose(button) : "";
    if (provider || !("choose" in button.dataset)) await pursue(button, provider);
  } catch (error) {
    if (!(error instanceof SessionEnded)) throw error;
    document.dispatchEvent(new CustomEvent("session:ended"));
  } finally {
    isBusy = false;
  }
}

// One intent, from the consequence to what came of it. One that has no final answer yet is gone on with as it was agreed to.
async function pursue(button, provider) {
  const { act: kind, tier, title, label } = button.dataset;
  const intent = [kind, tier, provider].filter(Boolean).join(":");
  const { state } = plan().dataset;
  const asked = agreed(intent, state) ?? (await consequence(button, provider));
  if (asked.code) {
    telegram.notify("error");
    toast("billing", priceSentence(asked.code), "bad");
    return;
  }
  const { message } = asked;
  const isAgreed = !message || (await telegram.ask({ title, message, yes: label, isDanger: kind === "cancel" }));
  if (isAgreed) await carryOut(button, () => act(kind, intent, state, asked));
}

// {body, message}: what will be sent, and what has to be agreed to first; {code} when the amount cannot be told.
async function consequence(button, provider) {
  const { tier, message } = button.dataset;
  const body = { ...(tier && { tier }), ...(provider && { provider }) };
  if (!("priced" in button.dataset)) return { body, message };
  hold(button);
  try {
    const told = await price(tier);
    return told.code ? told : { body: { ...body, as_of: told.asOf }, message: told.message };
  } finally {
    release(button);
  }
}

async function carryOut(button, ask) {
  hold(button);
  try {
    await done(button.dataset, await ask());
  } finally {
    release(button);
    feeds.forget("billing");
    feeds.refresh("billing");
  }
}

// While the answer is on its way the button is left alone by updates of the page.
function hold(button) {
  button.setAttribute("hx-morph-skip", "");
  button.setAttribute("aria-busy", "true");
  button.classList.add("busy");
  document.querySelector('[data-page="billing"]').classList.add("paying");
}

function release(button) {
  button.removeAttribute("hx-morph-skip");
  button.removeAttribute("aria-busy");
  button.classList.remove("busy");
  document.querySelector('[data-page="billing"]').classList.remove("paying");
}

async function done({ act: kind, tier }, { code, answer }) {
  if (code) {
    telegram.notify("error");
    toast("billing", moneySentence(code, kind), "bad");
    return;
  }
  if (answer.url) {
    await openPayment(kind, answer.url, kind === "change-plan" ? tier : "");
    return;
  }
  telegram.notify("success");
  if (kind === "cancel") toast("billing", "Cancelled. Nothing more is charged.", "good");
  else if (kind === "resume") toast("billing", "Your plan goes on.", "good");
  else if (answer.takes_effect === "now") wait("change", tier);
  else toast("billing", `${tierName(tier)} begins when the period ends.`, "good");
}

async function openPayment(kind, url, tier) {
  if (!telegram.isInvoice(url)) {
    telegram.openOutside(url);
    if (kind === "checkout") wait("outside");
    return;
  }
  const status = await telegram.openInvoice(url);
  if (status === "paid" || status === "pending") wait(status === "paid" ? "paid" : "stars", tier);
  else if (status === "failed") toast("billing", "The payment did not go through. Nothing was charged.", "bad");
  else if (status === "") toast("billing", "This Telegram cannot pay with Stars. Update it, or pay by card.", "bad");
}

export function listen() {
  sheet.listen();
  showNotice();
  document.addEventListener("feed:ready", (event) => {
    if (event.detail === "billing") onPlan();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]");
    if (button) onTap(button);
  });
  setInterval(showNotice, 5000);
}
