// Short messages above the bottom bar, read out by screen readers. One a key: news on a matter replaces the last.

const MARKS = { good: "✓", bad: "⚠", plain: "" };
const STAYS = 5000;
const shown = new Map();

export function toast(key, text, tone = "plain") {
  const area = document.getElementById("toasts");
  let element = shown.get(key)?.element;
  if (!element) {
    element = document.createElement("p");
    element.className = "toast";
    element.dataset.testid = "toast";
    area.append(element);
  }
  element.dataset.tone = tone;
  element.textContent = `${MARKS[tone]} ${text}`.trim();
  clearTimeout(shown.get(key)?.timer);
  shown.set(key, { element, timer: setTimeout(() => leave(key), STAYS) });
}

function leave(key) {
  const { element } = shown.get(key);
  shown.delete(key);
  element.classList.add("leaving");
  setTimeout(() => element.remove(), 200);
}
