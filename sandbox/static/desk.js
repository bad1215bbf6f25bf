// The desk: ready examples fitted to the market, the market itself, and faults.

import { ask, call, element, find } from "./dom.js";

const TELEGRAM_FAULTS = [
  ["429", 3, "Telegram says: too many requests", "3 calls are told to wait a second"],
  ["502", 3, "Telegram is down", "3 calls fail with 502"],
  ["timeout", 1, "Telegram does not answer", "one call hangs"],
  ["drop", 1, "The line is cut after the work", "one call succeeds unheard"],
  ["500_after_commit", 1, "Telegram fails after the work", "one call succeeds, told as an error"],
  ["403", 1, "The user blocked the bot", "one message is refused"],
];
const TERMINAL_FAULTS = [
  ["hang", 1, "A terminal hangs", "one call takes 20 seconds", 20],
  ["requote", 2, "The broker requotes", "2 orders meet another price"],
  ["timeout_after_fill", 1, "The broker fills and says time-out", "one order, executed unheard"],
  ["no_answer", 1, "The line to the broker breaks", "one order, executed unheard"],
  ["partial_fill", 1, "The broker fills a part", "one order"],
  ["reject", 1, "The broker refuses", "one order"],
];
const TYPES = { market: "at the market", limit: "limit", stop: "stop order" };

export class Desk {
  /** `hasStarted()` tells whether the person of the moment would get a card at all. */
  constructor({ hasProvider, hasBroker, hasStarted }) {
    this.hasStarted = hasStarted;
    this.hasBroker = hasBroker;
    this.hasProvider = hasProvider;
    this.chosen = 0;
    this.examples = [];
    this.prices = {};
    this.edited = null;
    find("[data-testid=console-publish]").addEventListener("click", () => this.publish());
    find("#edit").addEventListener("click", () => this.edit());
    find("#up").addEventListener("click", () => this.nudge(1));
    find("#down").addEventListener("click", () => this.nudge(-1));
    find("#symbol").addEventListener("change", () => this.drawQuote());
    this.drawFaults([]);
    this.refresh();
    setInterval(() => document.hidden || this.refresh(), 2000);
  }

  async refresh() {
    try {
      [this.examples, this.prices] = await Promise.all([call("GET", "/control/examples"), call("GET", "/control/prices")]);
    } catch { return; }
    this.drawExamples();
    this.drawSymbols();
    this.drawTerms();
    this.drawQuote();
  }

  drawExamples() {
    const box = find(".examples");
    if (box.children.length === this.examples.length) return;
    box.replaceChildren(...this.examples.map(({ title, body }, number) => element("button", {
      type: "button", role: "radio", class: "example", "data-testid": `console-example-${number}`, onclick: () => this.choose(number),
    }, element("span", { class: "pair" }, element("b", {}, body.symbol), element("i", { class: body.side }, body.side.toUpperCase())),
    element("small", {}, title))));
    this.choose(Math.min(this.chosen, this.examples.length - 1), false);
  }

  choose(number, follow = true) {
    this.chosen = number;
    this.edited = null;
    [...find(".examples").children].forEach((node, at) => node.setAttribute("aria-checked", String(at === number)));
    if (follow && this.examples[number]) find("#symbol").value = this.examples[number].body.symbol;
    this.outcome("");
    this.drawTerms();
    this.drawQuote();
  }

  body() { return this.edited || this.examples[this.chosen]?.body; }

  drawTerms() {
    const body = this.body();
    const terms = find(".terms");
    find("[data-testid=console-publish]").disabled = !body || !this.hasProvider;
    if (!body) { terms.textContent = "Waiting for prices …"; return; }
    const part = (name, value) => element("span", {}, element("small", {}, name), element("b", {}, value));
    terms.replaceChildren(part("Entry", body.entry_price ? `${body.entry_price} ${TYPES[body.order_type]}` : TYPES[body.order_type]),
      part("Stop", body.stop_loss || "none"), part("Targets", (body.take_profits || []).join(" · ") || "none"));
  }

  async publish() {
    const button = find("[data-testid=console-publish]");
    button.disabled = true;
    this.outcome("Publishing …");
    try {
      const signal = await call("POST", "/control/publish", this.body());
      this.outcome(this.hasStarted() ? "Published: the card is in the chat." : "Published. Press START in the chat to receive such cards.", "good");
      this.edited = null;
    } catch (error) {
      this.outcome(`Refused: ${error.json?.detail || error.message}`, "bad");
    } finally {
      button.disabled = !this.hasProvider;
    }
  }

  async edit() {
    const given = await ask("Your own signal", [{ name: "json", label: "Signal as JSON", rows: 12, value: JSON.stringify(this.body() || {}, null, 2) }], "Use it");
    if (!given) return;
    try { this.edited = JSON.parse(given.json); this.outcome(""); } catch { this.outcome("That is not JSON.", "bad"); }
    this.drawTerms();
  }

  outcome(text, mood = "") {
    find(".outcome").textContent = text;
    find(".outcome").className = `outcome ${mood}`;
  }

  drawSymbols() {
    const select = find("#symbol");
    const names = Object.keys(this.prices);
    if (select.options.length === names.length) return;
    const kept = select.value || this.examples[this.chosen]?.body.symbol;
    select.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
    if (names.includes(kept)) select.value = kept;
  }

  drawQuote() {
    const symbol = find("#symbol").value;
    const price = this.prices[symbol];
    const bid = find("#bid");
    if (price && bid.textContent !== price.bid) {
      const [before, now] = [this.quoted === symbol ? Number(bid.textContent) : NaN, Number(price.bid)];
      bid.className = now > before ? "rising" : now < before ? "falling" : "";
      bid.textContent = price.bid;
      this.quoted = symbol;
    }
    find("#ask").textContent = price ? price.ask : "";
    for (const id of ["#up", "#down"]) find(id).disabled = !price;
  }

  async nudge(direction) {
    try {
      this.prices = await call("POST", "/control/prices/nudge", { symbol: find("#symbol").value, direction });
      this.drawQuote();
    } catch (error) {
      this.outcome(error.message, "bad");
    }
  }

  drawFaults(waiting) {
    const sum = waiting.reduce((total, fault) => total + fault.times, 0);
    find("#faults .count").hidden = sum === 0;
    find("#faults .count").textContent = sum;
    const row = (target) => ([fault, times, title, small, seconds]) => element("button", {
      type: "button", role: "menuitem", onclick: () => this.fault("POST", { target, fault, times, ...(seconds ? { seconds } : {}) }),
    }, element("b", {}, title), element("small", {}, small));
    find("#faults .sheet").replaceChildren(...TELEGRAM_FAULTS.map(row("telegram")),
      ...(this.hasBroker ? TERMINAL_FAULTS.map(row("terminal")) : []), element("button", { type: "button", role: "menuitem", class: "clear", onclick: () => this.fault("DELETE") }, "No more faults"));
  }

  async fault(method, body) {
    this.drawFaults((await call(method, "/control/faults", body)).faults);
    find("#faults").open = false;
  }
}
