// The sheet that links: one of its panels is shown at a time.

import * as sheets from "./sheets.js";
import * as telegram from "./telegram.js";

const sheet = sheets.find("link");

export function panel(name) {
  return sheet.querySelector(`[data-panel="${name}"]`);
}

export function isShown(name) {
  return sheet.open && !panel(name).hidden;
}

export function show(name) {
  sheets.open("link");
  for (const each of sheet.querySelectorAll("[data-panel]")) each.hidden = each.dataset.panel !== name;
  sheet.setAttribute("aria-label", panel(name).querySelector("h2").textContent);
  complain(name, "");
  sheet.scrollTop = 0;
  panel(name).querySelector("input")?.focus();
}

export function complain(name, text) {
  sheets.complain(panel(name), text, "[data-panel-error]");
}

// The panels speak of one device.
export function speakOf(name) {
  for (const each of sheet.querySelectorAll("[data-device-name]")) each.textContent = name;
}

// What stands beside the button goes to the clipboard, or is selected where that is not allowed.
async function copy(button) {
  const text = button.parentElement.querySelector("code");
  const before = button.dataset.before ?? button.textContent;
  button.dataset.before = before;
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(text);
    button.textContent = "Selected: copy it";
  }
  telegram.select();
  setTimeout(() => {
    button.textContent = before;
  }, 2500);
}

export function listen() {
  for (const each of sheet.querySelectorAll("[data-origin]")) each.textContent = location.origin + each.dataset.origin;
  sheet.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
  });
}
