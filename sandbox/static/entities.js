// Telegram's text and entities as DOM. Offsets are UTF-16 units, which is what JavaScript strings count in.

import { element } from "./dom.js";

const TAGS = {
  bold: "strong", italic: "em", underline: "u", strikethrough: "s", code: "code", pre: "pre",
  blockquote: "blockquote", expandable_blockquote: "blockquote",
};

const BLOCKS = new Set(["pre", "blockquote"]);

/** Nodes for `text`; `open(url)` is called for links and `say(text)` for commands. */
export function render(text, entities, { open, say }) {
  const sorted = [...entities].sort((a, b) => a.offset - b.offset || b.length - a.length);
  return span(text, sorted, 0, text.length, { open, say });
}

function span(text, entities, start, end, acts) {
  const nodes = [];
  let at = start;
  for (let i = 0; i < entities.length; i += 1) {
    const entity = entities[i];
    const stop = Math.min(entity.offset + entity.length, end);
    if (entity.offset < at || stop <= entity.offset) continue;
    if (entity.offset > at) nodes.push(text.slice(at, entity.offset));
    const inside = entities.slice(i + 1).filter((other) => other.offset < stop);
    const wrapped = wrap(entity, text.slice(entity.offset, stop), acts);
    wrapped.append(...span(text, inside, entity.offset, stop, acts));
    nodes.push(wrapped);
    // A block ends its line by itself; the line break after it would leave an empty one.
    at = BLOCKS.has(wrapped.localName) && text[stop] === "\n" ? stop + 1 : stop;
  }
  if (at < end) nodes.push(text.slice(at, end));
  return nodes;
}

function wrap(entity, words, { open, say }) {
  if (entity.type === "text_link" || entity.type === "url") {
    const url = entity.url || words;
    return element("a", { href: "#", title: url, onclick: (event) => { event.preventDefault(); open(url); } });
  }
  if (entity.type === "bot_command") {
    return element("a", { href: "#", onclick: (event) => { event.preventDefault(); say(words); } });
  }
  if (entity.type === "spoiler") {
    const hidden = element("span", { class: "spoiler", title: "Show" });
    hidden.addEventListener("click", () => hidden.classList.add("shown"));
    return hidden;
  }
  return element(TAGS[entity.type] || "span");
}
