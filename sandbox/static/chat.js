// The chat: messages, buttons, the composer.

import { ask, call, element, find } from "./dom.js";
import { render } from "./entities.js";
import { dismiss, number, pay, price, star, starred } from "./payment.js";

const messages = find("#messages");
const scroll = find("#scroll");
const shown = new Map(); // message id -> {json, node}
const SERVICE = {
  successful_payment: ({ total_amount: paid, is_recurring: again, is_first_recurring: first }) => (
    first ? ["You subscribed for ", ...price({ amount: paid, subscription_period: true }), "."]
      : ["You paid ", number(paid), " ", star(), again ? " for the next month." : "."]),
  refunded_payment: ({ total_amount: paid }) => ["You got ", number(paid), " ", star(), " back."],
};

export class Chat {
  /** `openApp(url)` opens the Mini App; `botName` is the bot's username, to know its own links. */
  constructor({ openApp, botName }) {
    this.openApp = openApp;
    this.botName = botName;
    this.userId = null;
    this.commands = [];
    find("#composer").addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    find("#input").addEventListener("input", () => this.suggest());
    find("#input").addEventListener("keydown", (event) => event.key === "Escape" && this.suggest(true));
    find("#start").addEventListener("click", () => this.say("/start"));
    find("#menu-button").addEventListener("click", () => this.openMenu());
  }

  async show(userId) {
    this.userId = userId;
    dismiss(find(".window"));
    shown.clear();
    messages.replaceChildren();
    await Promise.all([this.profile(), this.refresh()]);
    scroll.scrollTop = scroll.scrollHeight;
  }

  async profile() {
    const facts = await call("GET", `/control/chats/${this.userId}`);
    this.commands = facts.commands;
    this.menu = facts.menu_button;
    this.description = facts.description;
    find("#menu-button").textContent = this.menu.type === "web_app" ? this.menu.text : "Menu";
    find("#block").textContent = facts.user.blocked ? "Unblock" : "Block";
    this.drawEmpty();
  }

  /** Bring the page to what the chat is now, touching only what changed. */
  async refresh() {
    const userId = this.userId;
    const list = await call("GET", `/control/chats/${userId}/messages`);
    if (userId !== this.userId) return;
    const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 120;
    const ids = new Set(list.map((message) => message.message_id));
    for (const [id, { node }] of shown) if (!ids.has(id)) { node.remove(); shown.delete(id); }
    for (const message of list) this.place(message);
    this.drawEmpty();
    if (atEnd) scroll.scrollTo({ top: scroll.scrollHeight, behavior: "smooth" });
  }

  place(message) {
    const json = JSON.stringify(message);
    const known = shown.get(message.message_id);
    if (known && known.json === json) return;
    const node = this.bubble(message);
    if (known) {
      node.classList.add("changed");
      known.node.replaceWith(node);
    } else messages.append(node);
    shown.set(message.message_id, { json, node });
  }

  bubble(message) {
    const [kind, facts] = Object.entries(message.service || {})[0] || [];
    const tags = { "data-testid": "chat-message", "data-message-id": message.message_id, "data-from": message.from };
    if (kind in SERVICE) return element("article", { class: "message service", ...tags }, ...SERVICE[kind](facts));
    const time = new Date(message.date * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    const acts = { open: (url) => this.follow(url), say: (text) => this.say(text) };
    const text = element("div", { class: "text", dir: "auto" }, ...render(message.text, message.entities, acts));
    if (kind === "invoice") {
      text.append(element("div", { class: "bill" }, element("b", {}, facts.title), element("span", {}, facts.description),
        element("span", { class: "cost" }, ...price({ amount: facts.total_amount }))));
    }
    text.append(element("time", {}, message.edits ? `edited ${time}` : time));
    const rows = message.buttons.map((row) => element("div", { class: "keys" },
      ...row.map((button) => this.button(message, button))));
    return element("article", { class: `message ${message.from}`, ...tags }, element("div", { class: "bubble" }, text), ...rows);
  }

  button(message, button) {
    const mark = button.web_app_url ? "▣" : button.url ? "↗" : button.copy_text ? "⧉" : null;
    const done = button.pay && message.paid;
    const made = element("button", { type: "button", class: `key ${button.style || ""}`, "data-testid": "chat-button", disabled: done },
      ...(done ? ["Paid"] : starred(button.text)), mark && element("i", {}, mark));
    made.addEventListener("click", () => this.press(message, button, made));
    return made;
  }

  async press(message, button, node) {
    if (button.pay) { await this.pay(message.slug); return; }
    if (button.web_app_url) { this.openApp(button.web_app_url); return; }
    if (button.url) { this.follow(button.url); return; }
    if (button.copy_text) { await navigator.clipboard?.writeText(button.copy_text.text); this.toast("Copied"); return; }
    if (!button.callback_data) return;
    node.classList.add("waiting");
    try {
      const reply = await call("POST", `/control/chats/${this.userId}/taps`,
        { message_id: message.message_id, callback_data: button.callback_data });
      if (reply.show_alert) await ask(reply.answer, [], "OK");
      else if (reply.answer) this.toast(reply.answer);
    } catch (error) {
      this.toast(error.message);
    } finally {
      node.classList.remove("waiting");
    }
  }

  /** Links to the bot itself stay here; others open in a tab of their own. */
  follow(url) {
    const link = URL.canParse(url) ? new URL(url) : null;
    const [name, app] = link ? link.pathname.slice(1).split("/") : [];
    const slug = link?.host === "t.me" && /^\/(?:\$|invoice\/)([\w=-]+)$/.exec(link.pathname)?.[1];
    if (slug) { this.pay(slug); return; }
    if (link && link.host === "t.me" && name === this.botName) {
      if (app || link.searchParams.has("startapp")) this.openApp(null, link.searchParams.get("startapp"));
      else if (link.searchParams.has("start")) this.say(`/start ${link.searchParams.get("start")}`.trim());
    } else if (link && /^https?:$/.test(link.protocol)) window.open(url, "_blank", "noopener");
  }

  async pay(slug) {
    const status = await pay(find(".window"), this.userId, slug);
    if (status === "failed") this.toast("Not paid");
  }

  async say(text) {
    try {
      await call("POST", `/control/chats/${this.userId}/messages`, { text });
      scroll.scrollTop = scroll.scrollHeight;
    } catch (error) {
      this.toast(error.message);
    }
  }

  async send() {
    const input = find("#input");
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    this.suggest(true);
    await this.say(text);
  }

  openMenu() {
    if (this.menu?.type === "web_app") this.openApp(this.menu.web_app.url);
    else {
      find("#input").value = "/";
      find("#input").focus();
      this.suggest();
    }
  }

  suggest(hide = false) {
    const typed = find("#input").value;
    const fitting = hide || !/^\/\w*$/.test(typed) ? [] : this.commands.filter((c) => `/${c.command}`.startsWith(typed));
    const box = find("#suggestions");
    box.hidden = fitting.length === 0;
    box.replaceChildren(...fitting.map((c) => element("button", {
      type: "button", onclick: () => { find("#input").value = ""; this.suggest(true); this.say(`/${c.command}`); },
    }, element("b", {}, `/${c.command}`), element("span", {}, c.description))));
  }

  drawEmpty() {
    const empty = shown.size === 0;
    find("#start").hidden = !empty;
    find("#composer").hidden = empty;
    const old = messages.querySelector(".empty");
    old?.remove();
    if (empty) {
      messages.append(element("div", { class: "empty" }, element("span", { class: "face bot large" }, "C"),
        element("strong", {}, "What can this bot do?"),
        element("p", {}, this.description || "It shows you trade signals and trades only those you approve. Press START to open a paper account.")));
    }
  }

  typing() {
    const presence = find("#presence");
    presence.textContent = "typing …";
    clearTimeout(this.typingTimer);
    this.typingTimer = setTimeout(() => { presence.textContent = "bot"; }, 5000);
  }

  toast(text) {
    const box = find("#toast");
    box.textContent = text;
    box.hidden = false;
    clearTimeout(this.toastTimer);
    this.toastTimer = setTimeout(() => { box.hidden = true; }, 3500);
  }
}
