// Building pages without markup strings: text only ever enters through textContent.

export const find = (selector) => document.querySelector(selector);

/** element("button", {class: "main", onclick: f}, "Text", child …) */
export function element(name, facts = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(facts)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** The answer's JSON; throws an Error with the sandbox's own words when it is refused. */
export async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const json = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(json.error || json.detail || json.title || "Refused"), { json, status: answer.status });
  return json;
}

/** A small question drawn by the page itself; resolves to the values, or null when it is dismissed. */
export function ask(title, fields, confirm) {
  const dialog = find("#dialog");
  const inputs = fields.map((field) => field.rows
    ? element("textarea", { name: field.name, rows: field.rows, "aria-label": field.label, spellcheck: "false" }, field.value || "")
    : element("input", { name: field.name, placeholder: field.label, "aria-label": field.label, value: field.value || "" }));
  const form = element("form", { method: "dialog" }, element("h2", {}, title), ...inputs,
    element("div", { class: "row" },
      fields.length ? element("button", { class: "quiet", value: "" }, "Cancel") : null,
      element("button", { class: "main", value: "yes" }, confirm)));
  dialog.replaceChildren(form);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => {
    resolve(dialog.returnValue === "yes" ? Object.fromEntries(new FormData(form)) : null);
  }, { once: true }));
}
