// Sheets that come up from the bottom. A tap beside one, Escape or the way back closes it, if it may be closed.

const guards = new Map();

export function find(name) {
  return document.getElementById(name);
}

export function open(name) {
  const sheet = find(name);
  if (!sheet.open) sheet.showModal();
  return sheet;
}

// mayClose answers whether the sheet can go now, or resolves to it.
export function guard(name, mayClose) {
  guards.set(name, mayClose);
}

export async function close(name) {
  const sheet = find(name);
  if (!sheet.open) return true;
  const mayClose = guards.get(name);
  if (mayClose && !(await mayClose())) return false;
  sheet.close();
  return true;
}

export function complain(form, text, selector = "[data-field-error]") {
  const line = form.querySelector(selector);
  if (!line) return;
  line.textContent = text;
  line.hidden = !text;
}

// While an answer is on its way a form takes no second one.
export function hold(form, isBusy) {
  form.toggleAttribute("aria-busy", isBusy);
  for (const each of form.querySelectorAll("input, button[type=submit]")) each.disabled = isBusy;
  form.querySelector("button[type=submit]").classList.toggle("busy", isBusy);
}

export function listen() {
  for (const sheet of document.querySelectorAll("dialog.sheet[data-testid]:not(#upgrade, #pay)")) {
    sheet.addEventListener("click", (event) => {
      if (event.target === sheet || event.target.closest("[data-sheet-close]")) close(sheet.id);
    });
    sheet.addEventListener("cancel", (event) => {
      event.preventDefault();
      close(sheet.id);
    });
  }
  window.addEventListener("popstate", () => {
    for (const sheet of document.querySelectorAll("dialog[open]")) if (guards.has(sheet.id) || sheet.id !== "pay") close(sheet.id);
  });
}
