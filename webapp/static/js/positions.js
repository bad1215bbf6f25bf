// The Positions page: which account is looked at, and what is done with a position, always after a second yes.

import { attempt, call } from "./api.js";
import * as chart from "./chart.js";
import * as feeds from "./feeds.js";
import * as navigation from "./navigation.js";
import * as telegram from "./telegram.js";
import { toast } from "./toasts.js";
import { actSentence, reasonSentence } from "./words.js";

const FEEDS = ["positions", "closed"];
const OPEN = ["queued", "sent", "unknown"];
const PATIENCE = 30000;
const underWay = new Set();

function shown() {
  return document.querySelector("[data-account-shown]");
}

// Another account comes into view: its figures are asked for, and nothing of the other's is left standing.
export function choose(account) {
  for (const name of FEEDS) {
    feeds.ask(name, account ? { account } : {});
    if (feeds.isLoaded(name)) feeds.forget(name);
  }
  for (const chip of document.querySelectorAll("[data-choose-account]")) {
    chip.setAttribute("aria-pressed", String(chip.dataset.chooseAccount === account));
  }
  for (const name of FEEDS) if (navigation.openFeed() === name || feeds.isLoaded(name)) feeds.refresh(name);
}

// A position is shown as being acted on until the desk's own list says how it stands.
function hold(card, button, text) {
  card.setAttribute("aria-busy", "true");
  card.setAttribute("hx-morph-skip", "");
  card.querySelector("[data-card-error]").hidden = true;
  for (const each of card.querySelectorAll("[data-position-act]")) each.disabled = true;
  button.classList.add("busy");
  say(card, text);
}

function release(card) {
  card.removeAttribute("aria-busy");
  card.removeAttribute("hx-morph-skip");
  for (const each of card.querySelectorAll("[data-position-act]")) each.classList.remove("busy");
  feeds.forget("positions");
  feeds.refresh("positions", { isForced: true });
}

function say(card, text) {
  const line = card.querySelector("[data-act-status]");
  line.textContent = text;
  line.hidden = !text;
}

function complain(card, symbol, text) {
  telegram.notify("error");
  if (!card.isConnected) {
    toast(card.id, `${symbol}: ${text}`, "bad");
    return;
  }
  const line = card.querySelector("[data-card-error]");
  line.textContent = text;
  line.hidden = false;
}

function send(account, ticket, kind, body) {
  const path = `/accounts/${account}/positions/${ticket}`;
  if (kind === "protect") return call("PATCH", path, body, { patience: PATIENCE });
  return call("POST", `${path}/close`, body, { patience: PATIENCE });
}

async function onAct(button) {
  const card = button.closest("[data-position]");
  if (underWay.has(card.id)) return;
  underWay.add(card.id);
  await attempt(() => pursue(card, button)).finally(() => underWay.delete(card.id));
}

// From the question to what came of it. What was asked is what is sent, whatever the list shows meanwhile.
async function pursue(card, button) {
  const { positionAct: kind, title, message, yes, body, doing } = button.dataset;
  const { position: ticket, symbol } = card.dataset;
  const account = shown().dataset.accountShown;
  telegram.tap();
  if (!(await telegram.ask({ title, message, yes, isDanger: kind !== "protect" }))) return;
  hold(card, button, doing);
  const { answer: act, problem } = await send(account, ticket, kind, JSON.parse(body)).finally(() => release(card));
  if (problem) refused(card, symbol, problem);
  else tell(card, symbol, kind, act);
}

function refused(card, symbol, { code, reason }) {
  say(card, "");
  if (code === "position_closed" || code === "not_found") toast(card.id, `${symbol}: ${actSentence(code)}`, "bad");
  else complain(card, symbol, code === "order_refused" ? reasonSentence(reason) : actSentence(code));
}

function tell(card, symbol, kind, act) {
  if (OPEN.includes(act.status)) {
    say(card, "Asking the broker what became of it. Nothing is sent twice.");
    toast(card.id, `${symbol}: the broker has not answered yet. This page shows it when it does.`);
    return;
  }
  say(card, "");
  if (act.status === "refused") {
    complain(card, symbol, reasonSentence(act.reason, act.error));
    return;
  }
  telegram.notify("success");
  toast(card.id, outcome(symbol, kind, act), "good");
  if (kind === "close") card.classList.add("leaving");
  if (feeds.isLoaded("closed")) feeds.refresh("closed");
}

function outcome(symbol, kind, { volume, price }) {
  if (kind === "protect") return `${symbol}: the stop is at the entry.`;
  const at = price ? ` at ${price}` : "";
  return kind === "half" ? `${symbol}: ${volume} lots closed${at}.` : `${symbol} closed${at}.`;
}

export function listen() {
  chart.listen();
  document.addEventListener("feed:ready", (event) => {
    if (event.detail === "positions" && shown()) chart.show(shown());
  });
  document.addEventListener("feed:gone", (event) => {
    if (FEEDS.includes(event.detail)) choose("");
  });
  document.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-choose-account]");
    if (chip && chip.getAttribute("aria-pressed") !== "true") {
      telegram.select();
      choose(chip.dataset.chooseAccount);
    }
    const button = event.target.closest("[data-position-act]");
    if (button && !button.disabled) onAct(button);
  });
}
