// Who is signed in. The access token lives in memory only and is gone with the page. The refresh token is
// also kept in sessionStorage: launch data cannot be renewed while the app is open and is good for an hour,
// so without it a reload after that would end the session. It is rotated at every use, a second use revokes
// its family, the storage belongs to this tab and origin alone, and it is only used for the launch it came from.

import { initData, launch } from "./telegram.js";

const STORE = "countersign.session";
const AUTH = "/api/v1/auth";

export class SessionEnded extends Error {}
export class Unreachable extends Error {}

let access = "";
let renewAt = 0;
let refreshToken = recall();
let underWay = null;

function recall() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(STORE) ?? "{}");
    return kept.launch === launch ? (kept.token ?? "") : "";
  } catch {
    return "";
  }
}

function keep(pair) {
  access = pair.access_token;
  renewAt = performance.now() + Math.max(pair.expires_in - 30, 5) * 1000;
  refreshToken = pair.refresh_token;
  try {
    sessionStorage.setItem(STORE, JSON.stringify({ launch, token: refreshToken }));
  } catch {
    // Storage is refused in some private windows; memory alone will do.
  }
}

function forget() {
  access = "";
  refreshToken = "";
  try {
    sessionStorage.removeItem(STORE);
  } catch {
    // As above.
  }
}

// A new pair, or null when the credential is not accepted.
async function exchange(path, body) {
  let response;
  try {
    response = await fetch(AUTH + path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(15000),
    });
  } catch {
    throw new Unreachable();
  }
  if (response.status === 401) return null;
  if (!response.ok) throw new Unreachable();
  return response.json();
}

async function renew() {
  let pair = refreshToken ? await exchange("/refresh", { refresh_token: refreshToken }) : null;
  if (!pair) {
    forget();
    pair = initData ? await exchange("/telegram", { init_data: initData }) : null;
  }
  if (!pair) throw new SessionEnded();
  keep(pair);
}

// Resolves when there is a token to send; any number of callers share one renewal.
export function signedIn() {
  if (access && performance.now() < renewAt) return Promise.resolve();
  underWay ??= renew().finally(() => {
    underWay = null;
  });
  return underWay;
}

// fetch() as the person who is signed in. A token that is refused is renewed once.
export async function authorized(url, init = {}) {
  for (const isLast of [false, true]) {
    await signedIn();
    const sent = access;
    const response = await fetch(url, { ...init, headers: { ...init.headers, Authorization: `Bearer ${sent}` } });
    if (response.status !== 401) return response;
    if (access === sent) access = "";
    if (isLast) forget();
  }
  throw new SessionEnded();
}
