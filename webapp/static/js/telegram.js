// The Telegram client round this page. Every call is optional: older clients miss some, a plain browser all.

const client = window.Telegram?.WebApp;

export const initData = client?.initData ?? "";

// Names this very launch. Another account in the same browser tab is another launch.
export const launch = new URLSearchParams(initData).get("hash") ?? "";

function since(version, act) {
  if (!client?.isVersionAtLeast(version)) return false;
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

export function start() {
  client?.ready();
  client?.expand();
  since("6.1", () => client.setHeaderColor("secondary_bg_color"));
  since("6.1", () => client.setBackgroundColor("secondary_bg_color"));
  since("7.10", () => client.setBottomBarColor("bottom_bar_bg_color"));
  // A scroll that starts on a card must not close the window.
  since("7.7", () => client.disableVerticalSwipes());
}

export function tap() {
  since("6.1", () => client.HapticFeedback.impactOccurred("medium"));
}

export function select() {
  since("6.1", () => client.HapticFeedback.selectionChanged());
}

// kind: success, warning or error
export function notify(kind) {
  since("6.1", () => client.HapticFeedback.notificationOccurred(kind));
}

export function onBack(act) {
  return since("6.1", () => client.BackButton.onClick(act));
}

export function showBack(visible) {
  return since("6.1", () => (visible ? client.BackButton.show() : client.BackButton.hide()));
}

export function close() {
  client?.close();
}

// Another theme has been chosen; the page's colours have changed with it.
export function onTheme(act) {
  client?.onEvent("themeChanged", act);
}

// While there is something on the page that closing would lose, the client asks first.
export function guardClosing(isNeeded) {
  since("6.2", () => (isNeeded ? client.enableClosingConfirmation() : client.disableClosingConfirmation()));
}

// Opens a page in the browser of the device, beside Telegram.
export function openOutside(url) {
  try {
    client.openLink(url);
  } catch {
    window.open(url, "_blank", "noopener");
  }
}

// Asks in Telegram's own popup; resolves to whether the answer was yes.
export function ask({ title, message, yes, isDanger }) {
  return new Promise((resolve) => {
    const buttons = [{ id: "yes", type: isDanger ? "destructive" : "default", text: yes }, { type: "close" }];
    const isShown = since("6.2", () => client.showPopup({ title, message, buttons }, (id) => resolve(id === "yes")));
    if (!isShown) resolve(window.confirm(`${title}\n${message}`));
  });
}

export function isInvoice(url) {
  return /^https:\/\/t\.me\/(\$|invoice\/)/.test(url);
}

// Opens a payment in Stars over this page; resolves to paid, cancelled, failed, pending, or "" where it cannot be shown.
export function openInvoice(url) {
  return new Promise((resolve) => {
    if (!since("6.1", () => client.openInvoice(url, resolve))) resolve("");
  });
}

export function openTelegramLink(url) {
  return since("6.1", () => client.openTelegramLink(url));
}
