// The line of equity. uPlot draws it on a canvas; what it shows also stands beside it in words.

import { authorized, SessionEnded } from "./session.js";
import * as telegram from "./telegram.js";

const HEIGHT = 64;
// Points are kept by the minute at best; asking more often shows nothing new.
const FRESH_MS = 60000;
const SPANS = { day: "a day", week: "a week", month: "a month" };
const thin = "\u202f";
let library = null;
let drawn = null; // {account, span, plot, points, at}

// Fetched with the first page that needs it; a line that cannot be drawn is no reason to show nothing.
function load() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.body.dataset.chart;
    script.onload = () => resolve(window.uPlot);
    script.onerror = reject;
    document.head.append(script);
  });
  return library;
}

async function fetchPoints(account, span) {
  const response = await authorized(`/api/v1/accounts/${account}/equity?span=${span}`, { signal: AbortSignal.timeout(15000) });
  if (!response.ok) throw new Error("no equity");
  const { items } = await response.json();
  return items.map(({ at, equity }) => [Date.parse(at) / 1000, Number(equity)]);
}

function colour(part) {
  const probe = document.querySelector(`.spark-${part}`) ?? document.body;
  return getComputedStyle(probe).color;
}

function money(value, currency) {
  const [whole, cents] = Math.abs(value).toFixed(2).split(".");
  return `${value < 0 ? "\u2212" : ""}${whole.replace(/\B(?=(\d{3})+$)/g, thin)}.${cents}\u00a0${currency}`;
}

function moment(seconds, span) {
  const format = span === "day" ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" };
  return new Date(seconds * 1000).toLocaleString([], format);
}

// The points on record, and where the account stands now.
function withNow(points, header) {
  const last = [Date.parse(header.dataset.at) / 1000, Number(header.dataset.equity)];
  const older = points.filter(([at]) => at < last[0]);
  return [...older, last];
}

function describe(spark, points, currency, span) {
  const note = spark.querySelector("[data-spark-note]");
  const canvas = spark.querySelector("[data-spark-canvas]");
  if (points.length < 2) {
    note.textContent = "The line begins here and grows with every look.";
    canvas.setAttribute("aria-label", "Equity over time: nothing on record yet.");
    return;
  }
  const values = points.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  note.textContent = `Low ${money(low, currency)} · high ${money(high, currency)}`;
  canvas.setAttribute("aria-label", `Equity over ${SPANS[span]}: from ${money(values[0], currency)} to `
    + `${money(values.at(-1), currency)}, lowest ${money(low, currency)}, highest ${money(high, currency)}.`);
}

function options(uPlot, spark, width, currency) {
  const note = spark.querySelector("[data-spark-note]");
  return {
    width,
    height: HEIGHT,
    padding: [6, 2, 6, 2],
    legend: { show: false },
    axes: [{ show: false }, { show: false }],
    scales: { x: { time: true }, y: { range: (_plot, low, high) => (low === high ? [low - 1, high + 1] : uPlot.rangeNum(low, high, 0.1, true)) } },
    cursor: { y: false, drag: { x: false, y: false, setScale: false }, points: { size: 8, fill: () => colour("line"), stroke: () => colour("line") } },
    series: [{}, { stroke: () => colour("line"), fill: () => colour("fill"), width: 2, points: { show: false } }],
    hooks: {
      setCursor: [(plot) => {
        const { idx } = plot.cursor;
        if (idx === null || idx === undefined || !drawn) return;
        note.textContent = `${money(plot.data[1][idx], currency)} · ${moment(plot.data[0][idx], drawn.span)}`;
      }],
    },
  };
}

function draw(uPlot, header, spark, points) {
  const { currency } = header.dataset;
  const canvas = spark.querySelector("[data-spark-canvas]");
  const all = withNow(points, header);
  const data = [all.map(([at]) => at), all.map(([, value]) => value)];
  if (drawn.plot && drawn.plot.root.isConnected) drawn.plot.setData(data);
  else {
    canvas.replaceChildren();
    drawn.plot = new uPlot(options(uPlot, spark, canvas.clientWidth, currency), data, canvas);
    canvas.addEventListener("pointerleave", () => describe(spark, withNow(drawn.points, header), currency, drawn.span));
  }
  describe(spark, all, currency, drawn.span);
}

// Shows the line of this account, anew when it is another one or there may be new points.
export async function show(header, span = drawn?.span ?? "day") {
  const account = header.dataset.accountShown;
  const spark = header.querySelector("[data-spark]");
  for (const each of spark.querySelectorAll("[data-span]")) each.setAttribute("aria-pressed", String(each.dataset.span === span));
  const isSame = drawn?.account === account && drawn.span === span && drawn.plot?.root.isConnected;
  try {
    if (!isSame) {
      const state = { account, span, plot: null, points: [], at: 0 };
      drawn = state;
      const [uPlot, points] = await Promise.all([load(), fetchPoints(account, span)]);
      if (drawn !== state || !header.isConnected) return;
      Object.assign(state, { points, at: performance.now() });
      draw(uPlot, header, spark, points);
      return;
    }
    const state = drawn;
    if (performance.now() - state.at > FRESH_MS) {
      state.at = performance.now();
      state.points = await fetchPoints(account, span);
    }
    if (drawn === state) draw(await load(), header, spark, state.points);
  } catch (error) {
    if (error instanceof SessionEnded) document.dispatchEvent(new CustomEvent("session:ended"));
    else spark.querySelector("[data-spark-note]").textContent = "The line of equity cannot be shown right now.";
  }
}

function onSpan(button) {
  telegram.select();
  show(button.closest("[data-account-shown]"), button.dataset.span);
}

export function listen() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-span]");
    if (button && button.getAttribute("aria-pressed") !== "true") onSpan(button);
  });
  telegram.onTheme(() => drawn?.plot?.redraw(false));
  window.addEventListener("resize", () => {
    const width = document.querySelector("[data-spark-canvas]")?.clientWidth;
    if (drawn?.plot && width) drawn.plot.setSize({ width, height: HEIGHT });
  });
}
