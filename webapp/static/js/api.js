// The JSON API, asked as the person who is signed in: {answer} when it was done, {problem} when it was not.

import { authorized, SessionEnded } from "./session.js";
import { problemOf } from "./words.js";

// A request that was given up on (signal) has no answer either; what it asked for may still be done.
export async function call(method, path, body, { patience = 15000, signal } = {}) {
  const limits = [AbortSignal.timeout(patience), ...(signal ? [signal] : [])];
  try {
    const response = await authorized(`/api/v1${path}`, {
      method,
      ...(body !== undefined && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
      signal: AbortSignal.any ? AbortSignal.any(limits) : limits.at(-1),
    });
    const text = await response.text();
    if (response.ok) return { answer: text ? JSON.parse(text) : null };
    return { problem: { code: "internal_error", ...problemOf(text) } };
  } catch (error) {
    if (error instanceof SessionEnded) throw error;
    return { problem: { code: "unreachable" } };
  }
}

// Runs what a tap began; a session that ends meanwhile is said once, in one place.
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SessionEnded)) throw error;
    document.querySelectorAll("dialog[open]").forEach((each) => each.close());
    document.dispatchEvent(new CustomEvent("session:ended"));
    return null;
  }
}
