// How many lots an order has: a fixed number, or so that its stop costs a share of equity.

import { attempt, call } from "./api.js";
import * as sheets from "./sheets.js";
import { toast } from "./toasts.js";
import { accountSentence } from "./words.js";

const form = () => sheets.find("sizing").querySelector("form");
let account = null;
let saved = () => {};

function mode() {
  return form().elements.mode.value;
}

// What was typed as the API wants it, "" when it is no number.
function typed() {
  const text = form().elements.size.value.trim().replace(",", ".");
  return /^\d{1,6}(\.\d{1,4})?$/.test(text) && Number(text) > 0 ? text : "";
}

function fault(value) {
  if (!value) return "Write a number above 0, such as 0.10.";
  if (mode() === "risk_percent" && Number(value) > 100) return "A share of equity is 100 % at most.";
  if (mode() === "fixed" && Number(value) > 1000) return "That is more lots than any broker takes in one order.";
  return "";
}

function explain() {
  const isFixed = mode() === "fixed";
  const value = typed();
  const { equity, currency } = account;
  form().querySelector("[data-sizing-label]").textContent = isFixed ? "Lots of each order" : "Share of equity at the stop, in %";
  const note = form().querySelector("[data-sizing-note]");
  if (isFixed) {
    note.textContent = `Every order is ${value || "that many"} lots, however far its stop is. A wide stop then risks more than a near one.`;
    return;
  }
  const share = value && equity ? `, about ${((Number(equity) * Number(value)) / 100).toFixed(2)} ${currency} now` : "";
  const high = Number(value) > 5 ? " That is a lot: ten losses in a row would take most of the account." : "";
  note.textContent = `An order that reaches its stop costs ${value || "this"} % of equity${share}. The volume is rounded down. An order without a stop is 0.01 lots.${high}`;
}

export function open(of) {
  account = of;
  const { elements } = form();
  elements.mode.value = of.mode;
  elements.size.value = of.size;
  sheets.complain(form(), "");
  explain();
  sheets.open("sizing");
}

async function save() {
  const value = typed();
  if (form().hasAttribute("aria-busy")) return;
  sheets.complain(form(), fault(value));
  if (fault(value)) return;
  const sizing = mode() === "fixed" ? { mode: "fixed", volume: value } : { mode: "risk_percent", value };
  sheets.hold(form(), true);
  const { problem } = await call("PATCH", `/accounts/${account.account}`, { sizing }).finally(() => sheets.hold(form(), false));
  if (problem) {
    sheets.complain(form(), accountSentence(problem.code));
    return;
  }
  await sheets.close("sizing");
  toast("accounts", "Saved. It counts from the next order on.", "good");
  saved();
}

export function listen(onSaved) {
  saved = onSaved;
  form().addEventListener("input", (event) => {
    if (event.target.name === "mode") form().elements.size.value = mode() === account.mode ? account.size : mode() === "fixed" ? "0.01" : "1.0";
    sheets.complain(form(), "");
    explain();
  });
  form().addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(save);
  });
}
