// Pull down at the top of a list to fetch it anew.

import * as feeds from "./feeds.js";
import * as navigation from "./navigation.js";
import * as telegram from "./telegram.js";

const FAR = 72;
const MOST = 110;
const mark = document.getElementById("pull");
let from = null;
let way = 0;

function place(distance) {
  way = distance;
  mark.hidden = distance <= 0;
  mark.style.transform = `translate(-50%, ${Math.min(distance, MOST) / 2}px)`;
  mark.firstElementChild.style.transform = `rotate(${distance * 3}deg)`;
  mark.classList.toggle("ready", distance >= FAR);
}

function onStart(event) {
  const isBusy = window.scrollY > 0 || event.touches.length !== 1 || document.querySelector("dialog[open]");
  from = isBusy || event.target.closest(".plans, .switcher") ? null : event.touches[0];
}

function onMove(event) {
  if (!from) return;
  const down = event.touches[0].clientY - from.clientY;
  const aside = Math.abs(event.touches[0].clientX - from.clientX);
  if (window.scrollY > 0 || (way === 0 && aside > Math.max(down, 8))) {
    from = null;
    place(0);
    return;
  }
  const wasReady = way >= FAR;
  place(Math.max(0, down - 8));
  if (way >= FAR && !wasReady) telegram.select();
}

function onEnd() {
  const isFar = from && way >= FAR;
  from = null;
  place(0);
  if (isFar) feeds.refresh(navigation.openFeed(), { isForced: true });
}

export function listen() {
  document.addEventListener("touchstart", onStart, { passive: true });
  document.addEventListener("touchmove", onMove, { passive: true });
  document.addEventListener("touchend", onEnd);
  document.addEventListener("touchcancel", onEnd);
}
