// Sign in, open the page, keep what is in view fresh.

import * as accounts from "./accounts.js";
import * as billing from "./billing.js";
import * as clocks from "./clocks.js";
import * as decisions from "./decisions.js";
import * as feeds from "./feeds.js";
import * as live from "./live.js";
import * as navigation from "./navigation.js";
import * as positions from "./positions.js";
import * as pull from "./pull.js";
import { SessionEnded, signedIn } from "./session.js";
import * as telegram from "./telegram.js";

const POLL = Number(document.body.dataset.pollSeconds) * 1000;
let timer = 0;
let wanted = new URLSearchParams(location.search).get("approval");

function gate(name) {
  document.getElementById("desk").hidden = name !== null;
  document.querySelectorAll("[data-gate]").forEach((each) => {
    each.hidden = each.dataset.gate !== name;
  });
  clearTimeout(timer);
}

function poll() {
  clearTimeout(timer);
  if (document.hidden || document.getElementById("desk").hidden) return;
  feeds.refresh(navigation.openFeed());
  timer = setTimeout(poll, POLL);
}

// Opened from a card in the chat: show that very card, or what became of it.
function find(name) {
  if (!wanted || !/^\d+$/.test(wanted)) return;
  const card = document.getElementById(name === "pending" ? `approval-${wanted}` : `decision-${wanted}`);
  if (name === "pending" && !card) {
    navigation.openTab("decided");
    return;
  }
  wanted = null;
  card?.toggleAttribute("data-found", true);
  card?.scrollIntoView({ block: "center" });
}

async function begin() {
  gate(null);
  try {
    await signedIn();
  } catch (error) {
    gate(error instanceof SessionEnded ? "expired" : "failed");
    return;
  }
  poll();
  live.start();
}

function listen() {
  clocks.listen();
  feeds.listen();
  decisions.listen();
  billing.listen();
  positions.listen();
  accounts.listen();
  pull.listen();
  live.listen();
  navigation.listen(poll);
  document.addEventListener("visibilitychange", poll);
  document.addEventListener("session:ended", () => gate("expired"));
  document.addEventListener("feed:ready", (event) => find(event.detail));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-telegram-link]");
    if (link && telegram.openTelegramLink(link.href)) event.preventDefault();
    const outside = event.target.closest("[data-outside]");
    if (outside) {
      event.preventDefault();
      telegram.openOutside(outside.href);
    }
    if (event.target.closest("[data-close]")) telegram.close();
    if (event.target.closest("[data-try-again]")) begin();
  });
  setInterval(() => {
    if (decisions.close(clocks.tick())) feeds.refresh("pending");
  }, 1000);
}

if (telegram.initData) {
  telegram.start();
  listen();
  begin();
} else {
  // The payment page leads back to a browser that knows nothing of Telegram.
  gate(billing.isReturn ? "paid" : "outside");
}
