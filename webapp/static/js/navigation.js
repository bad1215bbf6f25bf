// One document, several pages: moving between them keeps the session, the lists and where they were scrolled.

import * as telegram from "./telegram.js";

const FEED_OF = { accounts: "accounts", billing: "billing", settings: "settings" };
// Pages with two lists side by side, and which of them is open.
const tabs = { approvals: "pending", positions: "positions" };
const scrolled = new Map();
let current = document.body.dataset.open;
let depth = 0;
let changed = () => {};

// The list that is in view.
export function openFeed() {
  return tabs[current] ?? FEED_OF[current];
}

function show(name) {
  const page = document.querySelector(`[data-page="${name}"]`);
  if (!page) return;
  scrolled.set(current, window.scrollY);
  current = name;
  document.querySelectorAll("[data-page]").forEach((each) => {
    each.hidden = each !== page;
  });
  document.querySelectorAll(".tabs [data-go]").forEach((link) => {
    if (link.dataset.go === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  });
  const isInner = name === "settings";
  const hasButton = telegram.showBack(isInner);
  page.querySelector("[data-back]")?.toggleAttribute("hidden", hasButton);
  window.scrollTo(0, scrolled.get(name) ?? 0);
  changed();
}

export function go(name) {
  if (name === current) {
    window.scrollTo({ top: 0, behavior: "smooth" });
    return;
  }
  depth += 1;
  history.pushState(null, "", `/app/${name}`);
  show(name);
}

function back() {
  if (depth > 0) history.back();
  else {
    history.replaceState(null, "", "/app/approvals");
    show("approvals");
  }
}

export function openTab(name) {
  const list = document.querySelector(`[data-tab="${name}"]`).parentElement;
  tabs[list.closest("[data-page]").dataset.page] = name;
  for (const each of list.querySelectorAll("[data-tab]")) {
    const isOpen = each.dataset.tab === name;
    each.setAttribute("aria-selected", String(isOpen));
    each.tabIndex = isOpen ? 0 : -1;
    document.getElementById(each.getAttribute("aria-controls")).hidden = !isOpen;
  }
  changed();
}

function onKey(event) {
  const own = event.target.closest("[data-tab]");
  if (!own || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  const other = own.parentElement.querySelector(`[data-tab]:not([data-tab="${own.dataset.tab}"])`);
  openTab(other.dataset.tab);
  other.focus();
}

function onClick(event) {
  const control = event.target.closest("[data-go], [data-back], [data-tab]");
  if (!control || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (control.dataset.tab) {
    if (control.getAttribute("aria-selected") !== "true") telegram.select();
    openTab(control.dataset.tab);
  } else if (control.dataset.go) go(control.dataset.go);
  else back();
}

// onChange is called whenever another list comes into view.
export function listen(onChange) {
  // The launch data has been read; it has no business in the address any more.
  history.replaceState(null, "", `/app/${current}${location.search}`);
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey);
  window.addEventListener("popstate", () => {
    depth = Math.max(0, depth - 1);
    show(location.pathname.split("/")[2] ?? "approvals");
  });
  telegram.onBack(back);
  show(current);
  changed = onChange;
}
