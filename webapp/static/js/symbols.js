// Which of the broker's symbols a signal's symbol is: seen, corrected, found again.

import { attempt, call } from "./api.js";
import * as feeds from "./feeds.js";
import * as sheets from "./sheets.js";
import * as telegram from "./telegram.js";
import { symbolSentence } from "./words.js";

let account = "";
let changed = () => {};

export function open(of) {
  account = of.account;
  const sheet = sheets.find("symbols");
  sheet.querySelector("[data-symbols-of]").textContent = of.label;
  const feed = feeds.element("symbols");
  feed.setAttribute("hx-get", `/app/fragments/accounts/${account}/symbols`);
  feed.replaceChildren(...feed.querySelectorAll(".skeleton"));
  feed.dataset.state = "loading";
  feeds.forget("symbols");
  sheets.open("symbols");
  feeds.refresh("symbols");
}

function reload() {
  feeds.forget("symbols");
  feeds.refresh("symbols");
  changed();
}

async function save(form, symbol) {
  const name = form.elements.broker_symbol.value.trim();
  if (form.hasAttribute("aria-busy")) return;
  if (!symbol || !name) {
    sheets.complain(form, "Write the symbol and your broker's name for it.");
    return;
  }
  sheets.complain(form, "");
  sheets.hold(form, true);
  const path = `/accounts/${account}/symbols/${encodeURIComponent(symbol)}`;
  const { problem } = await call("PUT", path, { broker_symbol: name }).finally(() => sheets.hold(form, false));
  if (problem) {
    telegram.notify("error");
    sheets.complain(form, symbolSentence(problem));
    return;
  }
  telegram.notify("success");
  form.closest("details")?.removeAttribute("open");
  form.reset();
  reload();
}

async function reset(button) {
  const form = button.closest("form");
  button.disabled = true;
  const { problem } = await call("DELETE", `/accounts/${account}/symbols/${encodeURIComponent(button.dataset.mapReset)}`);
  button.disabled = false;
  if (problem) {
    sheets.complain(form, symbolSentence(problem));
    return;
  }
  form.closest("details").removeAttribute("open");
  reload();
}

export function listen(onChange) {
  changed = onChange;
  const sheet = sheets.find("symbols");
  sheet.addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    const symbol = form.dataset.mapForm ?? form.elements.symbol.value.trim().toUpperCase();
    attempt(() => save(form, symbol));
  });
  sheet.addEventListener("click", (event) => {
    const button = event.target.closest("[data-map-reset]");
    if (button) attempt(() => reset(button));
  });
}
