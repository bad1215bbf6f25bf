// The billing menu: time that passes faster, and the Stars subscriptions of whoever is chosen.

import { call, element, find } from "./dom.js";
import { price } from "./payment.js";

const DAY = 86_400;
const STEPS = [[1, "+1 day"], [7, "+7 days"], [30, "+30 days"]];
const date = (seconds) => new Date(seconds * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
const plural = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

export class Billing {
  /** `who()` is the person of the moment; without Stripe's stand-in there is no clock to move. */
  constructor({ hasClock, who }) {
    this.hasClock = hasClock;
    this.who = who;
    this.said = "Renewals, retries and ends of trials on the way happen.";
    find("#billing").addEventListener("toggle", () => find("#billing").open && this.draw());
    this.draw();
  }

  async draw() {
    this.books = await call("GET", "/control/stars");
    const ahead = Math.round((this.books.now - Date.now() / 1000) / DAY);
    find("#billing .count").hidden = ahead < 1;
    find("#billing .count").textContent = `+${ahead} d`;
    const { id, first_name: name } = this.who();
    const kept = this.books.subscriptions.filter((found) => found.user_id === id);
    find("#billing .sheet").replaceChildren(
      element("h2", {}, `It is ${date(this.books.now)} for billing`),
      this.hasClock ? element("div", { class: "forward" }, ...STEPS.map(([days, label]) => element("button", {
        type: "button", "data-testid": `billing-forward-${days}`, onclick: () => this.forward(days),
      }, label))) : null,
      element("small", { role: "status", "data-testid": "billing-said" }, this.hasClock ? this.said : "Stripe's stand-in keeps the clock; it is not here."),
      ...kept.map((found) => this.subscription(found, name)));
  }

  subscription(found, name) {
    const over = found.until <= this.books.now;
    const ends = { active: `renews ${date(found.until)}`, failed: `not paid, runs to ${date(found.until)}`,
      canceled: `${over ? "ended" : "ends"} ${date(found.until)}` }[found.state];
    const act = (action, label) => element("button", {
      type: "button", "data-testid": `billing-${action}`, onclick: () => this.act(found, action),
    }, label);
    const acts = { active: [act("cancel", "Cancel"), act("fail", "Run out of Stars")], failed: [act("renew", "Top up and pay")],
      canceled: over || found.bot_canceled ? [] : [act("resume", "Renew again")] }[found.state];
    return element("div", { class: "kept", "data-testid": "billing-subscription" }, element("b", {}, `${name}: ${found.title}`),
      element("small", {}, ...price({ ...found, subscription_period: true }), `, ${ends}`),
      acts.length ? element("div", { class: "acts" }, ...acts) : null);
  }

  async forward(days) {
    await this.carry(async () => {
      const before = this.books.transactions.length;
      const { now, events } = await call("POST", "/control/stripe/advance", { days });
      const charged = (await call("GET", "/control/stars")).transactions.length - before;
      return `${date(now)}: ${plural(events.length, "event")} from Stripe, ${plural(charged, "payment")} in Stars.`;
    });
  }

  async act(found, action) {
    await this.carry(async () => {
      await call("POST", `/control/stars/subscriptions/${found.charge_id}/${action}`);
      return "Done.";
    });
  }

  async carry(work) {
    for (const button of document.querySelectorAll("#billing button")) button.disabled = true;
    try { this.said = await work(); } catch (error) { this.said = error.message; }
    await this.draw();
  }
}
