// Paying with Stars as a client does: a sheet over the chat or the phone that asks before it pays.

import { call, element } from "./dom.js";

const open = new Map(); // where a sheet lies -> how to take it away

export const number = (amount) => amount.toLocaleString("en-US").replaceAll(",", "\u202f");
export const star = () => element("span", { class: "star", role: "img", "aria-label": "Stars" }, "★");

/** `text` with Telegram's star in place of the emoji, which not every computer can draw. */
export const starred = (text) => text.split(/⭐\ufe0f?/u).flatMap((part, at) => (at ? [star(), part] : [part]));

/** What it costs: "1 500 ★ each month". */
export const price = ({ amount, subscription_period: period }) => [`${number(amount)} `, star(), period ? " each month" : ""];

/** Take away the sheet over `host`, if there is one. */
export const dismiss = (host) => open.get(host)?.();

/** Show the invoice over `host`; resolves to paid, cancelled, failed or, when left while paying, pending. */
export async function pay(host, userId, slug) {
  dismiss(host);
  const invoice = await call("GET", `/control/stars/invoices/${encodeURIComponent(slug)}`).catch(() => null);
  if (!invoice) return "failed";
  dismiss(host);
  return new Promise((resolve) => show(host, userId, invoice, resolve));
}

function show(host, userId, invoice, resolve) {
  let leaving = "cancelled";
  const close = (status) => {
    if (open.get(host) === leave) open.delete(host);
    veil.remove();
    resolve(status);
  };
  const leave = () => close(leaving);
  const escape = () => leaving === "pending" || leave();
  const main = element("button", { class: "main", type: "button", "data-testid": "payment-pay" }, "Pay ", ...price(invoice));
  const cancel = element("button", { class: "quiet", type: "button", "data-testid": "payment-cancel", onclick: leave }, "Cancel");
  const says = element("p", { class: "says", role: "status" }, "Sandbox Stars: nobody is charged.");
  const sheet = element("div", { class: "payment", role: "dialog", "aria-modal": "true", "aria-label": "Payment", "data-testid": "payment" },
    element("span", { class: "coin" }, star()), element("strong", {}, invoice.title), element("p", {}, invoice.description),
    says, main, cancel);
  const veil = element("div", {
    class: "payment-veil", onclick: (event) => event.target === veil && escape(), onkeydown: (event) => event.key === "Escape" && escape(),
  }, sheet);
  main.addEventListener("click", async () => {
    leaving = "pending";
    main.disabled = cancel.disabled = true;
    main.classList.add("working");
    says.textContent = "Asking Countersign …";
    const outcome = await call("POST", `/control/stars/invoices/${invoice.slug}/pay`, { user_id: userId })
      .catch((error) => ({ paid: false, error: error.message }));
    if (open.get(host) !== leave) return;
    if (outcome.paid) { close("paid"); return; }
    leaving = "failed";
    says.textContent = outcome.error;
    says.className = "says refused";
    main.remove();
    cancel.textContent = "Close";
    cancel.disabled = false;
    cancel.focus();
  });
  open.set(host, leave);
  host.append(veil);
  main.focus();
}
