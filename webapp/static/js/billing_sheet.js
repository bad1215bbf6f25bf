// The sheet that says which plan would cover what was just refused.

import * as telegram from "./telegram.js";
import { tierName } from "./words.js";

const sheet = document.getElementById("upgrade");

export function offerUpgrade(needed) {
  const name = tierName(needed);
  sheet.querySelector("[data-upgrade-title]").textContent = name ? `This needs ${name}` : "This needs a higher plan";
  sheet.querySelector("[data-upgrade-text]").textContent = name
    ? `Your plan covers the paper account only. From ${name} on, orders go to your live account. Nothing was traded.`
    : "Your plan covers the paper account only. Nothing was traded.";
  if (!sheet.open) sheet.showModal();
  telegram.notify("warning");
}

export function listen() {
  // A tap beside the sheet is on the dialog itself.
  sheet.addEventListener("click", (event) => {
    if (event.target === sheet || event.target.closest("[data-sheet-close]")) sheet.close();
  });
  window.addEventListener("popstate", () => sheet.close());
}
