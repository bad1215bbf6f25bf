// The sheets of the Plan page: which plan would cover what was just refused, and how to pay for one.

import * as telegram from "./telegram.js";
import { tierName } from "./words.js";

const sheet = document.getElementById("upgrade");
const pay = document.getElementById("pay");
let wanted = new URLSearchParams(location.search).get("tier") ?? "";
let chosen = () => {};

// text says what was refused; without it, that a live account was.
export function offerUpgrade(needed, text) {
  const name = tierName(needed);
  wanted = needed ?? "";
  sheet.querySelector("[data-upgrade-title]").textContent = name ? `This needs ${name}` : "This needs a higher plan";
  sheet.querySelector("[data-upgrade-text]").textContent = text ?? (name
    ? `Your plan covers the paper account only. From ${name} on, orders go to your live account. Nothing was traded.`
    : "Your plan covers the paper account only. Nothing was traded.");
  if (!sheet.open) sheet.showModal();
  telegram.notify("warning");
}

// The plan somebody came here for; told once.
export function takeWanted() {
  const tier = wanted;
  wanted = "";
  return tier;
}

// Asks how to pay; resolves to the provider, or "" when nothing was chosen.
export function choose(button) {
  pay.querySelector("[data-pay-title]").textContent = `How do you want to pay for ${tierName(button.dataset.tier)}?`;
  for (const way of pay.querySelectorAll("[data-pay]:not([data-pay=''])")) {
    way.querySelector("[data-pay-price]").textContent = button.getAttribute(`data-way-${way.dataset.pay}`);
  }
  pay.returnValue = "";
  pay.showModal();
  return new Promise((resolve) => {
    chosen = resolve;
  });
}

export function listen() {
  // A tap beside a sheet is on the dialog itself.
  sheet.addEventListener("click", (event) => {
    if (event.target === sheet || event.target.closest("[data-sheet-close]")) sheet.close();
  });
  pay.addEventListener("click", (event) => {
    const way = event.target.closest("[data-pay]");
    if (event.target === pay || way) pay.close(way?.dataset.pay ?? "");
  });
  pay.addEventListener("close", () => chosen(pay.returnValue));
  window.addEventListener("popstate", () => {
    sheet.close();
    pay.close("");
  });
}
