// Brings chat, phone and desk together and keeps them up to date.

import { ask, call, element, find } from "./dom.js";
import { Billing } from "./billing.js";
import { Broker } from "./broker.js";
import { Chat } from "./chat.js";
import { Desk } from "./desk.js";
import { Phone } from "./phone.js";
import { toggle } from "./theme.js";

const state = await call("GET", "/control/state");
const users = new Map(state.users.map((user) => [user.id, user]));
const unread = new Set();
let userId = Number(localStorage.getItem("user")) || state.users[0].id;
if (!users.has(userId)) userId = state.users[0].id;

const chat = new Chat({ openApp: (url, startParam) => phone.open(userId, url, startParam), botName: state.bot.username });
const phone = new Phone({ appUrl: state.app_url, follow: (url) => chat.follow(url) });
phone.onopen = () => phone.open(userId);
const desk = new Desk({ hasProvider: Boolean(state.provider), hasBroker: state.terminal.accounts.length > 0, hasStarted: () => users.get(userId).started });
desk.drawFaults(state.faults);
new Broker(state.terminal);
const billing = new Billing({ hasClock: Boolean(state.stripe), who: () => users.get(userId) });

function drawUsers() {
  find("#user").replaceChildren(...[...users.values()].map((user) => element("option", { value: user.id },
    (unread.has(user.id) ? "● " : "") + user.first_name)));
  find("#user").value = userId;
}

async function become(id) {
  userId = id;
  unread.delete(id);
  localStorage.setItem("user", id);
  drawUsers();
  await chat.show(id);
  if (users.get(id).started) await phone.open(id);
  else phone.close();
}

find("#theme").addEventListener("click", toggle);
find("#user").addEventListener("change", (event) => become(Number(event.target.value)));
find("#add-user").addEventListener("click", async () => {
  const given = await ask("Add a person", [{ name: "first_name", label: "First name" }, { name: "username", label: "Username, if any" }], "Add");
  if (!given?.first_name.trim()) return;
  try {
    const { id } = await call("POST", "/control/users", { first_name: given.first_name, ...(given.username ? { username: given.username } : {}) });
    users.set(id, { ...users.get(id), id, first_name: given.first_name });
    await become(id);
  } catch (error) {
    chat.toast(error.message);
  }
});
find("#block").addEventListener("click", () => call("POST", `/control/users/${userId}/${users.get(userId).blocked ? "unblock" : "block"}`));
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(".menu")) if (!event.composedPath().includes(menu)) menu.open = false;
});

let refreshing = null;
function refreshSoon() {
  refreshing ??= setTimeout(() => { refreshing = null; chat.refresh(); }, 40);
}

const NEWS = {
  message: (news) => {
    if (find("#billing").open) billing.draw();
    if (news.chat_id === userId) refreshSoon();
    else { unread.add(news.chat_id); drawUsers(); }
  },
  action: (news) => news.chat_id === userId && chat.typing(),
  profile: () => chat.profile(),
  user: (news) => {
    users.set(news.user.id, news.user);
    drawUsers();
    if (news.user.id === userId) chat.profile();
  },
};
const events = new EventSource("/control/events");
events.addEventListener("message", (event) => {
  const news = JSON.parse(event.data);
  NEWS[news.type]?.(news);
});
// Whatever happened while nobody listened, at first and after a broken line.
events.addEventListener("open", async () => {
  for (const user of (await call("GET", "/control/state")).users) users.set(user.id, user);
  drawUsers();
  if (chat.userId) { chat.refresh(); chat.profile(); }
});

await become(userId);
