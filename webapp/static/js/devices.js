// What is done with a device that is there: a check-up, another account, a new secret, encryption, its end.

import { attempt, call } from "./api.js";
import * as feeds from "./feeds.js";
import * as linking from "./linking.js";
import * as sheets from "./sheets.js";
import * as telegram from "./telegram.js";
import { accountSentence } from "./words.js";

const GRACE = {
  600: "The new one works at once. The old one works for ten minutes more, or until the new one is first used.",
  0: "The old one stops working at once. Its terminal reports and trades nothing until it has the new one.",
};
let chosen = null; // {device, name} of the sheet that is open
let carryOut = () => {};
let changed = () => {};

export function act(button, { device, name, serves }) {
  chosen = { device, name };
  switch (button.dataset.deviceAct) {
    case "link": return linking.wait(device, name);
    case "doctor": return examine();
    case "rotate": return rotate();
    case "serve": return serve(serves);
    case "seal": return seal(button);
    default: return revoke(button);
  }
}

function examine() {
  const feed = feeds.element("doctor");
  sheets.find("doctor").querySelector("[data-doctor-of]").textContent = chosen.name;
  feed.setAttribute("hx-get", `/app/fragments/devices/${chosen.device}/doctor`);
  feed.replaceChildren(...feed.querySelectorAll(".skeleton"));
  feed.dataset.state = "loading";
  feeds.forget("doctor");
  sheets.open("doctor");
  feeds.refresh("doctor");
}

function rotate() {
  const sheet = sheets.open("rotate");
  sheet.querySelector("[data-rotate-name]").textContent = chosen.name;
  sheets.complain(sheet, "");
  sheet.querySelector("form").reset();
  explain();
}

function explain() {
  const form = sheets.find("rotate").querySelector("form");
  form.querySelector("[data-rotate-note]").textContent = GRACE[form.elements.grace.value];
}

async function onRotate(form) {
  if (form.hasAttribute("aria-busy")) return;
  const request = { grace_seconds: Number(form.elements.grace.value) };
  sheets.hold(form, true);
  const { answer, problem } = await call("POST", `/devices/${chosen.device}/rotate`, request).finally(() => sheets.hold(form, false));
  changed();
  if (problem) {
    sheets.complain(form, accountSentence(problem.code));
    return;
  }
  await sheets.close("rotate");
  linking.showSecret(answer.device, answer.secret, { isNew: false });
}

// The accounts that terminals serve, as the page shows them, and none.
function serve(serves) {
  const sheet = sheets.open("serve");
  const form = sheet.querySelector("form");
  sheets.complain(sheet, "");
  sheet.querySelector("[data-serve-name]").textContent = chosen.name;
  const cards = [...document.querySelectorAll('[data-account][data-route="device"]')];
  sheet.querySelector("[data-serve-note]").textContent = cards.length
    ? "It gets the orders of this account. Its terminal has to be signed in there."
    : "No account is linked by a device yet. Use Finish linking: the account it reports is linked then.";
  const rows = [...cards.map(({ dataset }) => [dataset.account, dataset.label]), ["", "None"]];
  form.querySelector("[data-serve-options]").replaceChildren(...rows.map(([id, label]) => option(id, label, id === serves)));
}

function option(id, label, isChecked) {
  const row = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "account", value: id, checked: isChecked });
  const text = document.createElement("bdi");
  text.textContent = label;
  row.className = "option";
  row.append(input, text);
  return row;
}

async function onServe(form) {
  if (form.hasAttribute("aria-busy")) return;
  const request = { account_id: form.elements.account.value || null };
  sheets.hold(form, true);
  const { problem } = await call("PATCH", `/devices/${chosen.device}`, request).finally(() => sheets.hold(form, false));
  changed();
  if (problem) sheets.complain(form, accountSentence(problem.code));
  else await sheets.close("serve");
}

async function seal(button) {
  const { device, name } = chosen;
  const isWanted = button.dataset.seals !== "true";
  const message = isWanted
    ? "Then only sealed requests of its terminal are answered. Its EA has to have Encrypt switched on."
    : "Then its terminal may send plain requests too. They are signed and go over TLS as ever.";
  const title = (isWanted ? `Require encryption of ${name}?` : `Allow plain requests of ${name}?`).slice(0, 64);
  if (!(await telegram.ask({ title, message, yes: isWanted ? "Require it" : "Allow" }))) return;
  const done = isWanted ? `${name} has to encrypt from now on.` : `${name} may send plain requests.`;
  await carryOut(button, "devices", () => call("PATCH", `/devices/${device}`, { requires_envelope: isWanted }), done);
}

async function revoke(button) {
  const { device, name } = chosen;
  const { message } = button.dataset;
  if (!(await telegram.ask({ title: `Revoke ${name}?`.slice(0, 64), message, yes: "Revoke", isDanger: true }))) return;
  await carryOut(button, "devices", () => call("POST", `/devices/${device}/revoke`, {}), `${name} is revoked.`);
}

export function listen(onAct, onChange) {
  carryOut = onAct;
  changed = onChange;
  for (const [name, send] of [["rotate", onRotate], ["serve", onServe]]) {
    sheets.find(name).addEventListener("submit", (event) => {
      event.preventDefault();
      attempt(() => send(event.target));
    });
  }
  sheets.find("rotate").addEventListener("change", explain);
}
