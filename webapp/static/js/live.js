// What changes is told as it changes, and fetched anew in the place where it is shown. Without this stream lists are
// as fresh as polling keeps them. EventSource cannot send the token, so the stream is read with fetch.

import * as feeds from "./feeds.js";
import * as navigation from "./navigation.js";
import { authorized, SessionEnded } from "./session.js";

// The desk says something every 15 seconds, be it nothing.
const SILENCE_MS = 40000;
const LONGEST_MS = 60000;
const AT_MOST_EVERY_MS = 1000;
// The lists in which a thing is shown, by the first word of the event; a reset is for all of them.
const SHOWN_IN = {
  approval: ["pending", "decided"],
  order: ["decided"],
  positions: ["positions", "closed", "accounts"],
  subscription: ["billing"],
};

const touched = new Set();
let refreshedAt = 0;
let timer = 0;
let lastId = "";
let retryMs = 3000;
let failures = 0;
let open = null; // the AbortController of the stream
let isWanted = false;

function touch(event) {
  const lists = event === "reset" ? Object.values(SHOWN_IN).flat() : (SHOWN_IN[event.split(".")[0]] ?? []);
  lists.forEach((name) => touched.add(name));
  if (timer || !touched.size) return;
  timer = setTimeout(refresh, Math.max(0, refreshedAt + AT_MOST_EVERY_MS - performance.now()));
}

// Of what changed, the list in view; the others are fetched when they come into view. The badge is in view everywhere.
function refresh() {
  timer = 0;
  refreshedAt = performance.now();
  const isCounted = touched.has("pending");
  const name = navigation.openFeed();
  if (document.hidden || !isWanted) return;
  if (touched.has(name) || isCounted) feeds.refresh(name);
  touched.clear();
}

// One message of the stream: lines of "name: value".
function take(message) {
  let event = "";
  for (const line of message.split("\n")) {
    const [, name, value] = line.match(/^(\w+): ?(.*)$/) ?? [];
    if (name === "id") lastId = value;
    else if (name === "retry" && /^\d+$/.test(value)) retryMs = Number(value);
    else if (name === "event") event = value;
  }
  if (event) touch(event);
}

async function read(response, heard) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    text += value;
    const messages = text.split("\n\n");
    text = messages.pop();
    messages.forEach(take);
  }
}

// One stream to its end; a desk that falls silent has ended it too.
async function listenOnce(controller) {
  let watch = 0;
  const heard = () => {
    clearTimeout(watch);
    watch = setTimeout(() => controller.abort(), SILENCE_MS);
  };
  heard();
  try {
    const response = await authorized("/api/v1/events", {
      headers: { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) },
      signal: controller.signal,
    });
    if (!response.ok) throw new Error(`events: ${response.status}`);
    failures = 0;
    if (!lastId) touch("reset"); // what changed between the first fetch and now
    await read(response, heard);
  } finally {
    clearTimeout(watch);
    controller.abort();
  }
}

function pause() {
  const ms = Math.min(LONGEST_MS, retryMs * 2 ** failures) * (0.75 + Math.random() / 2);
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function run() {
  while (isWanted && !document.hidden) {
    const controller = new AbortController();
    open = controller;
    try {
      await listenOnce(controller);
    } catch (error) {
      if (error instanceof SessionEnded) stop();
      failures = Math.min(failures + 1, 5);
    }
    if (open !== controller) return; // somebody stopped it, and may have begun anew
    await pause();
    if (open !== controller) return;
  }
  open = null;
}

function resume() {
  if (document.hidden) {
    open?.abort();
    open = null;
  } else if (isWanted && !open) run();
}

// Begin to listen as the person who is signed in.
export function start() {
  isWanted = true;
  resume();
}

export function stop() {
  isWanted = false;
  open?.abort();
  open = null;
}

export function listen() {
  document.addEventListener("visibilitychange", resume);
  document.addEventListener("session:ended", stop);
}
