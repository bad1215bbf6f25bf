// The broker menu: the accounts that wait to be linked, with what has to be typed to link them, and money for them.

import { call, element, find } from "./dom.js";

const PAYMENT = 500;

export class Broker {
  /** `terminal` is the part of the control state that names the trade servers' accounts. */
  constructor(terminal) {
    const accounts = [...terminal.accounts, ...(terminal.elsewhere || [])];
    find("#broker").hidden = accounts.length === 0;
    find("#broker .sheet").replaceChildren(
      element("h2", {}, "MetaTrader accounts to link"),
      element("small", {}, "In the app: Accounts, Link account, MT5 terminal. Tap a value to copy it."),
      ...accounts.map((account) => element("div", { class: "kept", "data-testid": "broker-account" },
        element("b", {}, `${account.login} · ${account.currency}`), element("small", {}, `${account.server}, ${account.about}`),
        element("div", { class: "acts" }, this.value("Login", account.login), this.value("Server", account.server),
          this.value("Password", account.password), this.value("Investor", account.investor_password)),
        element("div", { class: "acts" }, this.payment("Deposit", account, PAYMENT), this.payment("Withdraw", account, -PAYMENT)))));
  }

  payment(name, account, amount) {
    const label = `${name} ${PAYMENT}`;
    const button = element("button", { type: "button", "data-testid": name.toLowerCase(), onclick: async () => {
      try { button.textContent = `Balance ${(await call("POST", "/control/terminal/payments", { login: account.login, amount })).balance}`; }
      catch (refusal) { button.textContent = refusal.message; }
      setTimeout(() => { button.textContent = label; }, 2500);
    } }, label);
    return button;
  }

  value(name, text) {
    const button = element("button", { type: "button", title: text, onclick: async () => {
      try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; } catch { button.textContent = text; }
      setTimeout(() => { button.textContent = name; }, 1500);
    } }, name);
    return button;
  }
}
