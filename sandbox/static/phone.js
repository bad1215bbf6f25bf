// The phone: launches the Mini App with signed data and answers it as a Telegram client does.

import { call, element, find } from "./dom.js";
import { dismiss, pay } from "./payment.js";
import { onTheme, themeParams } from "./theme.js";
import { answerRequest } from "./storage.js";

const VERSION = "9.6";
const WIDTH = 390;
const stage = find("#stage");

export class Phone {
  /** `follow(url)` opens a t.me link in the chat. */
  constructor({ appUrl, follow }) {
    this.appUrl = appUrl;
    this.follow = follow;
    this.userId = null;
    this.frame = null;
    this.painted = new Map();
    window.addEventListener("message", (event) => this.receive(event));
    new ResizeObserver(() => this.fit()).observe(find(".phone-space"));
    onTheme(() => this.changeTheme());
    find("#main-button").addEventListener("click", () => this.post("main_button_pressed"));
    find("#secondary-button").addEventListener("click", () => this.post("secondary_button_pressed"));
    find("#app-settings").addEventListener("click", () => this.post("settings_button_pressed"));
    find("#app-back").addEventListener("click", () => (this.hasBack ? this.post("back_button_pressed") : this.askToClose()));
    setInterval(() => this.tick(), 10_000);
    this.tick();
    this.close();
  }

  /** Launch `url` (the app's first page when null) as this user, with data signed now. */
  async open(userId, url = null, startParam = null) {
    this.userId = userId;
    const query = startParam ? `?start_param=${encodeURIComponent(startParam)}` : "";
    const { init_data: initData } = await call("GET", `/control/users/${userId}/init-data${query}`);
    if (userId !== this.userId) return;
    const target = new URL(url || `${this.appUrl}/app`);
    if (startParam) target.searchParams.set("tgWebAppStartParam", startParam);
    const launch = new URLSearchParams({
      tgWebAppData: initData, tgWebAppVersion: VERSION, tgWebAppPlatform: "weba", tgWebAppThemeParams: JSON.stringify(themeParams()),
    });
    target.hash = (target.hash ? `${target.hash.slice(1)}?` : "") + launch.toString().replaceAll("+", "%20");
    this.origin = target.origin;
    this.reset();
    this.frame = element("iframe", {
      "data-testid": "phone", title: "Mini App", allow: "clipboard-write", src: target.href,
      sandbox: "allow-scripts allow-same-origin allow-forms allow-popups allow-popups-to-escape-sandbox allow-modals",
    });
    stage.replaceChildren(this.frame, element("div", { class: "loading" }, element("span", { class: "face bot large" }, "C")));
    this.frame.addEventListener("load", () => this.uncover());
  }

  close() {
    this.reset();
    this.frame = null;
    stage.replaceChildren(element("div", { class: "closed" }, element("span", { class: "face bot large" }, "C"),
      element("strong", {}, "Countersign"), element("p", {}, "Signals, positions, accounts and your plan."),
      element("button", { class: "main", type: "button", "data-testid": "phone-open", onclick: () => this.onopen?.() }, "Open app")));
    find(".app-bar").classList.add("idle");
  }

  reset() {
    this.hasBack = this.confirmsClosing = false;
    for (const id of ["#main-button", "#secondary-button", "#popup"]) find(id).hidden = true;
    find("#app-back").textContent = "Close";
    find("#app-settings").hidden = true;
    find(".app-bar").classList.remove("idle");
    dismiss(find(".screen"));
    this.painted.clear();
    find(".screen").removeAttribute("style");
  }

  uncover() { stage.querySelector(".loading")?.remove(); }

  post(eventType, eventData = {}) {
    this.frame?.contentWindow?.postMessage(JSON.stringify({ eventType, eventData }), this.origin);
  }

  receive(event) {
    if (!this.frame || event.source !== this.frame.contentWindow || event.origin !== this.origin) return;
    let message;
    try { message = JSON.parse(event.data); } catch { return; }
    const handler = HANDLERS[message?.eventType];
    let data = message?.eventData ?? {};
    if (typeof data === "string") { try { data = JSON.parse(data); } catch { data = {}; } }
    if (handler) handler(this, data || {});
    else answerRequest(this, message?.eventType, data || {});
  }

  sendViewport() {
    this.post("viewport_changed", { width: WIDTH, height: stage.clientHeight, is_expanded: true, is_state_stable: true });
  }

  setupButton(node, data) {
    const theme = themeParams();
    node.hidden = !data.is_visible;
    node.disabled = data.is_active === false;
    node.classList.toggle("working", Boolean(data.is_progress_visible));
    node.classList.toggle("shine", Boolean(data.has_shine_effect));
    node.textContent = data.text || "Continue";
    const main = node.id === "main-button";
    node.style.background = data.color || (main ? theme.button_color : "transparent");
    node.style.color = data.text_color || (main ? theme.button_text_color : theme.button_color);
    find("#bottom").dataset.position = data.position || find("#bottom").dataset.position || "left";
    this.sendViewport();
  }

  /** A colour of its own stays; one named by key changes with the theme. */
  paint(variable, { color, color_key: key }) {
    this.painted.set(variable, { color, color_key: key });
    const value = color || themeParams()[key];
    if (/^#[0-9a-f]{6}$/i.test(value || "")) find(".screen").style.setProperty(variable, value);
  }

  changeTheme() {
    for (const [variable, colour] of this.painted) this.paint(variable, colour);
    this.post("theme_changed", { theme_params: themeParams() });
  }

  popup({ title, message, buttons = [] }) {
    const done = (id) => {
      find("#popup").hidden = true;
      this.post("popup_closed", id === undefined ? {} : { button_id: id });
    };
    const names = { ok: "OK", close: "Close", cancel: "Cancel" };
    find("#popup").replaceChildren(element("div", { class: "popup", role: "alertdialog" },
      title ? element("strong", {}, title) : null, element("p", {}, message || ""),
      element("div", { class: "row" }, ...buttons.map((button) => element("button", {
        type: "button", class: button.type, "data-testid": "phone-popup-button", onclick: () => done(button.id ?? ""),
      }, button.text || names[button.type] || "OK")))));
    find("#popup").hidden = false;
  }

  async openInvoice(slug) {
    const asking = this.frame;
    const status = await pay(find(".screen"), this.userId, slug);
    if (this.frame === asking) this.post("invoice_closed", { slug, status });
  }

  askToClose() {
    if (!this.confirmsClosing || confirm("Changes that you made may not be saved.")) this.close();
  }

  fit() {
    const space = find(".phone-space");
    const scale = Math.max(0.45, Math.min(1, space.clientHeight / 868));
    space.style.setProperty("--scale", String(scale));
    space.style.width = `${Math.ceil(414 * scale)}px`;
  }

  tick() {
    find("#clock").textContent = new Date().toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  }
}

const NO_AREA = { top: 0, bottom: 0, left: 0, right: 0 };
const HANDLERS = {
  web_app_ready: (phone) => phone.uncover(),
  web_app_request_theme: (phone) => phone.post("theme_changed", { theme_params: themeParams() }),
  web_app_request_viewport: (phone) => phone.sendViewport(),
  web_app_request_safe_area: (phone) => phone.post("safe_area_changed", NO_AREA),
  web_app_request_content_safe_area: (phone) => phone.post("content_safe_area_changed", NO_AREA),
  web_app_setup_main_button: (phone, data) => phone.setupButton(find("#main-button"), data),
  web_app_setup_secondary_button: (phone, data) => phone.setupButton(find("#secondary-button"), data),
  web_app_setup_back_button: (phone, data) => {
    phone.hasBack = Boolean(data.is_visible);
    find("#app-back").textContent = phone.hasBack ? "‹ Back" : "Close";
  },
  web_app_setup_settings_button: (phone, data) => { find("#app-settings").hidden = !data.is_visible; },
  web_app_setup_closing_behavior: (phone, data) => { phone.confirmsClosing = Boolean(data.need_confirmation); },
  web_app_set_header_color: (phone, data) => phone.paint("--header", data),
  web_app_set_background_color: (phone, data) => phone.paint("--ground", data),
  web_app_set_bottom_bar_color: (phone, data) => phone.paint("--bar", data),
  web_app_open_popup: (phone, data) => phone.popup(data),
  web_app_open_invoice: (phone, data) => phone.openInvoice(String(data.slug)),
  web_app_close: (phone) => phone.close(),
  web_app_open_link: (phone, data) => {
    if (/^https?:\/\//.test(data.url || "")) window.open(data.url, "_blank", "noopener");
  },
  web_app_open_tg_link: (phone, data) => phone.follow(`https://t.me${data.path_full || ""}`),
};
