// The sheet that links an account: which way, what that way needs, and the wait for the broker or the device.

import { attempt, call } from "./api.js";
import { offerUpgrade } from "./billing_sheet.js";
import * as feeds from "./feeds.js";
import { complain, isShown, listen as listenToPanels, panel, show, speakOf } from "./link_sheet.js";
import * as pairing from "./pairing.js";
import * as sheets from "./sheets.js";
import * as telegram from "./telegram.js";
import { toast } from "./toasts.js";
import { linkSentence, tierName } from "./words.js";

// The desk gives up before that; a terminal that waits for others to start takes longest.
const PATIENCE = 160000;
const LONG = 45000;
const LOOK = 3000;
const SIGNING_IN = "Signing in at your broker. This can take up to 45 s.";
const STILL = "Still signing in: others are being linked too. You need not wait here; the account appears under Accounts.";
const sheet = sheets.find("link");
let linked = () => {};
let busy = null; // the AbortController of the one attempt under way
let secret = null; // {device, isNew}: shown and not yet said to be saved
let looking = 0;
let slow = 0;

export function open() {
  forgetPassword();
  show("routes");
}

export function addDevice() {
  forgetPassword();
  show("device");
}

// A link that is broken is made anew; what is known of it need not be typed again.
export function again({ route, login, server }) {
  open();
  if (route === "device") show("device");
  if (route !== "terminal") return;
  const { elements } = panel("terminal");
  elements.login.value = login;
  elements.server.value = server;
  show("terminal");
  elements.password.focus();
}

function forgetPassword() {
  panel("terminal").elements.password.value = "";
}

function upgrade({ needed_tier: needed }, what) {
  sheet.close();
  const name = tierName(needed);
  offerUpgrade(needed, name ? `Your plan allows no more ${what}. ${name} does.` : `Your plan allows no more ${what}, and no plan allows more.`);
}

function done({ label, is_primary: isPrimary }) {
  telegram.notify("success");
  toast("accounts", isPrimary ? `${label} is linked. Approved orders go there from now on.` : `${label} is linked.`, "good");
  sheet.close();
}

// One attempt at a time; closing the sheet ends the waiting, not what the desk has begun.
async function link(name, request) {
  if (busy) return;
  const attempting = new AbortController();
  busy = attempting;
  try {
    const { answer, problem } = await call("POST", "/accounts/link", request, { patience: PATIENCE, signal: attempting.signal });
    if (attempting.signal.aborted) return;
    if (answer) done(answer);
    else if (problem.code === "limit_reached") upgrade(problem, "linked accounts");
    else if (problem.reason !== "no_snapshot") {
      telegram.notify("error");
      complain(name, linkSentence(problem));
    }
  } finally {
    if (busy === attempting) busy = null;
    linked();
  }
}

async function linkTerminal(form) {
  if (busy) return;
  const { login, server, password } = form.elements;
  const request = { route: "terminal", login: login.value.trim(), server: server.value.trim(), password: password.value };
  const missing = !/^\d{1,20}$/.test(request.login) ? "The login is the number of the account."
    : !request.server ? "Write the server's name." : !request.password ? "Write the password." : "";
  complain("terminal", missing);
  if (missing) return;
  waitForBroker(form, true);
  try {
    await link("terminal", request);
  } finally {
    request.password = "";
    forgetPassword();
    waitForBroker(form, false);
  }
}

function waitForBroker(form, isBusy) {
  sheets.hold(form, isBusy);
  clearTimeout(slow);
  const words = form.querySelector("[data-progress-text]");
  words.textContent = SIGNING_IN;
  if (isBusy) slow = setTimeout(() => { words.textContent = STILL; }, LONG);
  form.querySelector("[data-progress]").hidden = !isBusy;
  form.querySelector("[data-panel-back]").textContent = isBusy ? "Stop waiting" : "Back";
}

async function linkPaper(button) {
  button.classList.add("busy");
  await link("routes", { route: "paper" }).finally(() => button.classList.remove("busy"));
}

// A device is added by a code that its terminal is given, or by a secret that its user carries there.
async function addByName(form, isByCode) {
  const name = form.elements.name.value.trim();
  if (form.hasAttribute("aria-busy")) return;
  complain("device", name ? "" : "Say a name, such as the computer the terminal runs on.");
  if (!name) return;
  sheets.hold(form, true);
  const path = isByCode ? "/devices/pairing" : "/devices";
  const { answer, problem } = await call("POST", path, { name }).finally(() => sheets.hold(form, false));
  if (problem?.code === "limit_reached") upgrade(problem, "devices");
  else if (problem) complain("device", linkSentence(problem));
  else {
    form.reset();
    if (isByCode) pairing.open(answer);
    else showSecret(answer.device, answer.secret, { isNew: true });
    linked();
  }
}

// The one time a secret is seen. It is in this element and nowhere else, and gone with it.
export function showSecret(device, text, { isNew }) {
  secret = { device, isNew };
  telegram.guardClosing(true);
  speakOf(device.name);
  sheet.querySelector("[data-device-id]").textContent = device.id;
  sheet.querySelector("[data-device-secret]").textContent = text;
  show("secret");
}

function forgetSecret() {
  secret = null;
  telegram.guardClosing(false);
  sheet.querySelector("[data-device-secret]").textContent = "";
}

function saved() {
  const { device, isNew } = secret;
  forgetSecret();
  if (isNew) wait(device.id, device.name);
  else sheet.close();
}

// Until the device has reported, look every few seconds; then its account is linked.
export function wait(id, name) {
  speakOf(name);
  show("waiting");
  clearTimeout(looking);
  const look = async () => {
    if (!isShown("waiting")) return;
    if (!document.hidden) await attempt(() => tryDevice(id));
    looking = setTimeout(look, LOOK);
  };
  look();
}

async function tryDevice(id) {
  const { answer } = await call("GET", "/devices", undefined);
  const device = answer?.items.find((each) => each.id === id);
  if (answer && (!device || device.status === "revoked")) complain("waiting", "This device is no longer there. Register another one.");
  if (device?.last_seen_at && isShown("waiting")) await link("waiting", { route: "device", device_id: id });
}

// What closing would lose is asked about; what is under way goes on without this page.
async function mayClose() {
  if (secret) {
    const message = "The secret is not shown again. Without it the device cannot report, and needs a new secret.";
    if (!(await telegram.ask({ title: "Have you saved the secret?", message, yes: "Close it", isDanger: true }))) return false;
    forgetSecret();
  }
  stopWaiting();
  clearTimeout(looking);
  forgetPassword();
  return true;
}

function stopWaiting() {
  if (!busy) return;
  busy.abort();
  busy = null;
  toast("accounts", "Not waiting any more. If the account is linked after all, it appears here.");
  feeds.forget("accounts");
}

function onClick(event) {
  const route = event.target.closest("[data-route]");
  if (route && route.closest("dialog") && !busy) {
    telegram.select();
    if (route.dataset.route === "paper") attempt(() => linkPaper(route));
    else show(route.dataset.route);
  } else if (event.target.closest("[data-panel-back]")) {
    stopWaiting();
    forgetPassword();
    show("routes");
  } else if (event.target.closest("[data-secret-saved]")) saved();
}

export function listen(onLinked) {
  linked = onLinked;
  listenToPanels();
  pairing.listen((device) => {
    linked();
    wait(device.id, device.name);
  });
  sheets.guard("link", mayClose);
  sheet.addEventListener("click", onClick);
  sheet.addEventListener("close", () => {
    clearTimeout(looking);
    pairing.forget();
    forgetPassword();
  });
  panel("terminal").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => linkTerminal(event.target));
  });
  panel("device").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => addByName(event.target, event.submitter?.value !== "secret"));
  });
}
