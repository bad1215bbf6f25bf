// Lists that keep themselves up to date. htmx fetches and morphs them; this decides when, as whom, and what
// the reader is told when it does not work.

import * as clocks from "./clocks.js";
import { authorized, SessionEnded } from "./session.js";
import { codeOf, feedSentence } from "./words.js";

// A card that slides under a finger must not be approved by the tap meant for its neighbour.
const SETTLE = 500;
let settledAt = 0;
let badgeCount = 0;
const questions = new Map();

export function element(name) {
  return document.querySelector(`[data-feed="${name}"]`);
}

// isForced asks for figures that are no older than the desk allows anybody to ask for.
export function refresh(name, { isForced = false } = {}) {
  const feed = element(name);
  if (!feed) return;
  if (isForced) feed.dataset.force = "true";
  window.htmx.trigger(feed, "refresh");
}

// What a list is asked with from now on, besides what its address says.
export function ask(name, question) {
  questions.set(name, question);
}

// Fetch anew even if nothing seems to have changed: what is shown was altered here.
export function forget(name) {
  delete element(name).dataset.etag;
}

export function isLoaded(name) {
  return element(name).dataset.state === "ready";
}

export function isSettled() {
  return performance.now() >= settledAt;
}

export function setBadge(count) {
  badgeCount = Math.max(0, count);
  const badge = document.getElementById("badge");
  badge.hidden = badgeCount === 0;
  badge.textContent = badgeCount > 99 ? "99+" : String(badgeCount);
  badge.setAttribute("aria-label", `${badgeCount} waiting`);
}

export function oneLess() {
  setBadge(badgeCount - 1);
}

function order(feed) {
  return [...feed.querySelectorAll("[data-approval]")].map((c) => c.id + c.dataset.terms).join();
}

function onRequest(event) {
  const { ctx } = event.detail;
  ctx.fetch = authorized;
  const feed = ctx.sourceElement;
  if (!feed.dataset.feed) return;
  if (feed.dataset.etag) ctx.request.headers["If-None-Match"] = feed.dataset.etag;
  for (const [key, value] of Object.entries(questions.get(feed.dataset.feed) ?? {})) ctx.request.body.set(key, value);
  if (feed.dataset.force) ctx.request.body.set("force_refresh", "true");
  delete feed.dataset.force;
}

function onAnswer(event) {
  const { ctx } = event.detail;
  const { status, headers } = ctx.response;
  if (status >= 400) {
    failed(ctx.sourceElement, codeOf(ctx.text));
    return;
  }
  clocks.learn(headers.get("X-Server-Time"));
  if (headers.has("X-Pending-Count")) setBadge(Number(headers.get("X-Pending-Count")));
  document.getElementById("offline").hidden = true;
  const feed = ctx.target.closest("[data-feed]");
  ctx.before = feed && order(feed);
  if (feed && status === 304) ready(feed);
}

function onSwap(event) {
  const { ctx } = event.detail;
  const feed = ctx.target?.closest("[data-feed]");
  if (!feed || ctx.response?.status !== 200) return;
  feed.dataset.etag = ctx.response.headers.get("ETag") ?? "";
  if (feed.dataset.state === "ready" && ctx.before && ctx.before !== order(feed)) settle(feed);
  ready(feed);
  clocks.tick();
  document.dispatchEvent(new CustomEvent("feed:ready", { detail: feed.dataset.feed }));
}

function settle(feed) {
  settledAt = performance.now() + SETTLE;
  feed.classList.add("settling");
  setTimeout(() => feed.classList.toggle("settling", !isSettled()), SETTLE + 20);
}

function ready(feed) {
  feed.dataset.state = "ready";
  feed.hidden = false;
  feed.setAttribute("aria-busy", "false");
  document.querySelector(`[data-error-of="${feed.dataset.feed}"]`).hidden = true;
}

function onError(event) {
  const { ctx, error } = event.detail;
  if (!ctx?.sourceElement) return;
  if (error instanceof SessionEnded) document.dispatchEvent(new CustomEvent("session:ended"));
  else failed(ctx.sourceElement, "unreachable");
}

function failed(source, code) {
  const feed = source.closest("[data-feed]");
  if (source.matches("[role=switch]")) source.checked = !source.checked;
  if (!feed) return;
  // What is asked for is no longer this person's; whoever asked is told and asks for something else.
  if (code === "not_found") document.dispatchEvent(new CustomEvent("feed:gone", { detail: feed.dataset.feed }));
  if (feed.dataset.state === "ready") {
    if (code === "outcome_unknown") return;  // somebody else's silence; what is shown stays true
    document.getElementById("offline").hidden = false;
    return;
  }
  const panel = document.querySelector(`[data-error-of="${feed.dataset.feed}"]`);
  panel.querySelector("[data-error-text]").textContent = feedSentence(code);
  panel.hidden = false;
  feed.hidden = true;
  feed.dataset.state = "failed";
}

function retry(name) {
  const feed = element(name);
  feed.dataset.state = "loading";
  feed.hidden = false;
  document.querySelector(`[data-error-of="${name}"]`).hidden = true;
  refresh(name);
}

function showMore(name) {
  const feed = element(name);
  const url = new URL(feed.getAttribute("hx-get"), location.origin);
  url.searchParams.set("limit", Math.min(100, Number(url.searchParams.get("limit")) + 40));
  feed.setAttribute("hx-get", url.pathname + url.search);
  forget(name);
  refresh(name);
}

export function listen() {
  document.body.addEventListener("htmx:config:request", onRequest);
  document.body.addEventListener("htmx:after:request", onAnswer);
  document.body.addEventListener("htmx:after:swap", onSwap);
  document.body.addEventListener("htmx:error", onError);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-retry], [data-refresh], [data-more]");
    if (button?.dataset.retry) retry(button.dataset.retry);
    else if (button?.dataset.refresh) refresh(button.dataset.refresh, { isForced: "force" in button.dataset });
    else if (button?.dataset.more) showMore(button.dataset.more);
  });
}
