// A pairing code: shown with its picture for as long as it is good, until a terminal has used it.

import { attempt, call } from "./api.js";
import { complain, isShown, panel, show, speakOf } from "./link_sheet.js";
import * as telegram from "./telegram.js";
import { accountSentence } from "./words.js";

const LOOK = 2000;
let looking = 0;
let shown = null; // {id, name, expires_at}
let paired = () => {};

function part(name) {
  return panel("pairing").querySelector(`[data-pair${name}]`);
}

// The answer to "a code for a device of this name".
export function open({ id, name, code, expires_at: until, qr_svg: picture }) {
  shown = { id, name };
  speakOf(name);
  part("-code").textContent = code;
  part("-until").dataset.until = until;
  part("-picture").src = `data:image/svg+xml,${encodeURIComponent(picture)}`;
  isOver(false);
  show("pairing");
  look();
}

function isOver(yes) {
  panel("pairing").toggleAttribute("data-over", yes);
  part("-waiting").hidden = yes;
  part("-again").hidden = !yes;
}

// The code is in this sheet and nowhere else, and goes with it.
export function forget() {
  clearTimeout(looking);
  shown = null;
  part("-code").textContent = "";
  part("-picture").removeAttribute("src");
  part("-until").removeAttribute("data-until");
}

function look() {
  clearTimeout(looking);
  if (!shown || !isShown("pairing")) return;
  attempt(() => (document.hidden ? null : ask(shown))).finally(() => {
    if (shown) looking = setTimeout(look, LOOK);
  });
}

async function ask(code) {
  const { answer, problem } = await call("GET", `/devices/pairing/${code.id}`);
  if (shown !== code) return;
  if (answer?.device) {
    forget();
    telegram.notify("success");
    paired(answer.device);
  } else if (problem?.code === "not_found") end("This code is no longer good. A newer one has taken its place.");
  else if (part("-until").textContent === "over") end("The ten minutes are over. Nothing was added.");
}

function end(text) {
  clearTimeout(looking);
  shown = { ...shown, id: null };
  isOver(true);
  complain("pairing", text);
}

async function again(button) {
  const { name } = shown;
  button.classList.add("busy");
  const { answer, problem } = await call("POST", "/devices/pairing", { name }).finally(() => button.classList.remove("busy"));
  if (problem) complain("pairing", accountSentence(problem.code));
  else open(answer);
}

export function listen(onPaired) {
  paired = onPaired;
  part("-again").addEventListener("click", (event) => attempt(() => again(event.currentTarget)));
}
