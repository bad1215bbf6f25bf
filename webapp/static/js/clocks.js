// Times that move: "8 s ago", "13:42" left. They follow the server's clock, not this device's.

const SOON_SECONDS = 60;
let offset = null;

// The largest sample is the one that travelled the shortest; a jump means a clock was set.
export function learn(serverTime) {
  const sample = Date.parse(serverTime) - Date.now();
  if (Number.isNaN(sample)) return;
  offset = offset === null || Math.abs(sample - offset) > 2000 ? sample : Math.max(offset, sample);
}

function now() {
  return Date.now() + (offset ?? 0);
}

function ago(seconds) {
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

function left(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function showAge(element) {
  const at = Date.parse(element.dataset.ago);
  const seconds = Math.max(0, Math.round((now() - at) / 1000));
  const exact = new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
  if (!element.title) element.title = exact;
  element.classList.toggle("old", seconds > Number(element.dataset.oldAfter ?? Infinity));
  write(element, element.classList.contains("exact") ? exact : ago(seconds));
}

function showLeft(element) {
  const seconds = Math.ceil((Date.parse(element.dataset.until) - now()) / 1000);
  element.classList.toggle("soon", seconds <= SOON_SECONDS);
  write(element, seconds > 0 ? left(seconds) : "over");
  return seconds <= 0;
}

// Write every time anew; returns the elements whose time is over.
export function tick() {
  document.querySelectorAll("[data-ago]").forEach(showAge);
  return [...document.querySelectorAll("[data-until]")].filter(showLeft);
}

// A tap on an age shows the exact time, and the age again.
export function listen() {
  document.addEventListener("click", (event) => {
    const age = event.target.closest("[data-ago]");
    if (!age || age.closest("summary, button")) return;
    age.classList.toggle("exact");
    showAge(age);
  });
}
