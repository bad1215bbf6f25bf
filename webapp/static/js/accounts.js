// The Accounts page: what is done with an account or a device that is there already.

import { attempt, call } from "./api.js";
import * as devices from "./devices.js";
import * as feeds from "./feeds.js";
import * as linking from "./linking.js";
import * as positions from "./positions.js";
import * as sheets from "./sheets.js";
import * as sizing from "./sizing.js";
import * as symbols from "./symbols.js";
import * as telegram from "./telegram.js";
import { toast } from "./toasts.js";
import { accountSentence } from "./words.js";

let isBusy = false;
let renaming = null; // {path, name, field, label}

function reload() {
  feeds.forget("accounts");
  feeds.refresh("accounts");
}

// One question to the desk at a time; what comes of it is said and shown.
async function carryOut(button, key, ask, done) {
  if (isBusy) return;
  isBusy = true;
  button.classList.add("busy");
  button.setAttribute("hx-morph-skip", "");
  try {
    const { problem } = await ask();
    telegram.notify(problem ? "error" : "success");
    toast(key, problem ? accountSentence(problem.code) : done, problem ? "bad" : "good");
  } finally {
    isBusy = false;
    button.classList.remove("busy");
    button.removeAttribute("hx-morph-skip");
    reload();
  }
}

async function makePrimary(button, { account, label }) {
  const { message } = button.dataset;
  if (!(await telegram.ask({ title: "Make it the primary account?", message, yes: "Make primary" }))) return;
  await carryOut(button, "accounts", () => call("PUT", `/accounts/${account}/primary`), `${label} is your primary account now.`);
}

async function unlink(button, { account, label }) {
  const { message } = button.dataset;
  if (!(await telegram.ask({ title: `Unlink ${label}?`.slice(0, 64), message, yes: "Unlink", isDanger: true }))) return;
  await carryOut(button, "accounts", () => call("DELETE", `/accounts/${account}`), `${label} is unlinked.`);
  positions.choose("");
}

function rename(path, name, field, key) {
  renaming = { path, field, key };
  const sheet = sheets.open("rename");
  const input = sheet.querySelector("input");
  sheets.complain(sheet, "");
  input.value = name;
  input.select();
}

async function onRename(form) {
  const name = form.elements.name.value.trim();
  if (form.hasAttribute("aria-busy")) return;
  if (!name) {
    sheets.complain(form, "Say a name of 1 to 64 characters.");
    return;
  }
  sheets.hold(form, true);
  const { problem } = await call("PATCH", renaming.path, { [renaming.field]: name }).finally(() => sheets.hold(form, false));
  if (problem) {
    sheets.complain(form, accountSentence(problem.code));
    return;
  }
  await sheets.close("rename");
  toast(renaming.key, "Renamed.", "good");
  reload();
}

function onDevice(button) {
  const { dataset } = button.closest("[data-device]");
  if (button.dataset.deviceAct === "rename") rename(`/devices/${dataset.device}`, dataset.name, "name", "devices");
  else attempt(async () => devices.act(button, dataset));
}

function onManage(button) {
  const { dataset } = button.closest("[data-account]");
  switch (button.dataset.manage) {
    case "primary": return makePrimary(button, dataset);
    case "unlink": return unlink(button, dataset);
    case "rename": return rename(`/accounts/${dataset.account}`, dataset.label, "label", "accounts");
    case "sizing": return sizing.open(dataset);
    default: return symbols.open(dataset);
  }
}

function onClick(event) {
  const manage = event.target.closest("[data-manage]");
  const device = event.target.closest("[data-device-act]");
  const again = event.target.closest("[data-relink]");
  if (manage && !manage.disabled) attempt(async () => onManage(manage));
  else if (device && !device.disabled) onDevice(device);
  else if (again) linking.again(again.closest("[data-account]").dataset);
  else if (event.target.closest("[data-open-link]")) linking.open();
  else if (event.target.closest("[data-add-device]")) linking.addDevice();
}

export function listen() {
  sheets.listen();
  linking.listen(reload);
  sizing.listen(reload);
  symbols.listen(reload);
  devices.listen(carryOut, reload);
  document.addEventListener("click", onClick);
  sheets.find("rename").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => onRename(event.target));
  });
}
