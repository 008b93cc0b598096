// Outcomes: each has a colour and a shape of its own, so that neither alone carries the meaning.
import { html } from "../vendor/vendor.js";
import { duration } from "./words.js";

/** @typedef {"ok" | "error" | "timeout" | "running" | "skipped" | "missed" | "cancelled" | "lost" | "paused" | "excluded" | "upcoming" | "late"} Outcome */

const SAME = /** @type {Record<string, Outcome>} */ ({
  denied: "error", failed: "error", failing: "error", active: "ok", queued: "upcoming", held: "paused",
  inactive: "paused", ended: "upcoming", skipped_already_in_flight: "skipped", misfire: "missed", overlap: "skipped", silent: "missed", late: "late", quarantined: "lost",
});

/** What an outcome or a state is called. */
const WORDS = /** @type {Record<string, string>} */ ({ upcoming: "coming", skipped_already_in_flight: "skipped" });

/**
 * Return the shape that stands for an outcome, a state or a reason.
 * @param {string | null | undefined} name
 * @returns {Outcome}
 */
export function outcomeOf(name) {
  const key = (name ?? "").toLowerCase();
  if (key in DRAWN) return /** @type {Outcome} */ (key);
  return SAME[key] ?? "upcoming";
}

const line = (/** @type {string} */ d, /** @type {string} */ width = "1.6", /** @type {string} */ colour = "currentColor") =>
  html`<path d=${d} fill="none" stroke=${colour} stroke-width=${width} stroke-linecap="round" stroke-linejoin="round" />`;
const solid = (/** @type {string} */ d) => html`<path d=${d} fill="currentColor" />`;

const DRAWN = /** @type {Record<Outcome, () => any>} */ ({
  ok: () => html`<circle cx="6" cy="6" r="4.500" fill="currentColor" />`,
  error: () => [solid("M2 .8h8A1.200 1.200 0 0 1 11.200 2v8A1.200 1.200 0 0 1 10 11.200H2A1.200 1.200 0 0 1 .8 10V2A1.200 1.200 0 0 1 2 .8z"), line("M4 4l4 4M8 4L4 8", "1.500", "var(--surface)")],
  timeout: () => solid("M2 1h8v1.200L7 6l3 3.800V11H2V9.800L5 6 2 2.200z"),
  running: () => solid("M3.200 1.500l7 4.500-7 4.500z"),
  skipped: () => line("M6 1.300L10.700 6 6 10.700 1.300 6z", "1.500"),
  missed: () => [line("M1.200 2.200h9.600v7.600H1.200z", "1.200"), line("M1.800 8l5-5.200M4.600 9.300l5.600-6", "1.300")],
  cancelled: () => [line("M6 1.500a4.500 4.500 0 1 0 0 9a4.500 4.500 0 1 0 0-9z", "1.500"), line("M3 9l6-6", "1.500")],
  lost: () => [solid("M6 .9l5.300 10H.7z"), line("M6 4.600v2.800M6 9.200v.1", "1.400", "var(--surface)")],
  paused: () => solid("M2.200 1.500h2.700v9H2.200zM7.100 1.500h2.700v9H7.100z"),
  excluded: () => html`<circle cx="6" cy="6" r="4" fill="none" stroke="currentColor" stroke-width="1.500" stroke-dasharray="1.900 2.100" />`,
  upcoming: () => line("M6 1.600v8.800", "1.800"),
  late: () => [line("M6 1.500a4.500 4.500 0 1 0 0 9a4.500 4.500 0 1 0 0-9z", "1.400"), line("M6 3.600V6l1.700 1.200", "1.400")],
});

/**
 * The shape alone; `words` is said by screen readers.
 * @param {{o: string | null | undefined, words?: string}} props
 */
export function Shape({ o, words }) {
  const kind = outcomeOf(o);
  return html`<span class="shape o-${kind}" title=${words}><svg viewBox="0 0 12 12" aria-hidden="true">${DRAWN[kind]()}</svg>${
    words ? html`<span class="sr">${words}</span>` : null}</span>`;
}

/**
 * Shape and word of an outcome: `<${OutcomeMark} o="error" />`.
 * @param {{o: string | null | undefined, words?: any}} props
 */
export function OutcomeMark({ o, words }) {
  const kind = outcomeOf(o);
  return html`<span class="outcome o-${kind}"><svg viewBox="0 0 12 12" aria-hidden="true">${DRAWN[kind]()}</svg><span>${
    words ?? WORDS[o ?? ""] ?? o ?? "–"}</span></span>`;
}

/**
 * The latest outcomes as bars, the newest at the right; a bar's height is its duration.
 * One path for each outcome keeps a long table light.
 * @param {{items: [string, number | null][], most?: number}} props pairs of outcome and milliseconds
 */
export function OutcomeBars({ items, most = 30 }) {
  const shown = items.slice(-most), longest = Math.log(2 + Math.max(0, ...shown.map(([, ms]) => ms ?? 0)));
  /** @type {Partial<Record<Outcome, string>>} */
  const paths = {};
  let crosses = "";
  shown.forEach(([name, ms], i) => {
    const kind = outcomeOf(name), x = (most - shown.length + i) * 6;
    const isBad = kind === "error" || kind === "timeout" || kind === "lost";
    const high = isBad ? 22 : kind === "skipped" || kind === "missed" || kind === "cancelled" ? 4 : Math.round(4 + (12 * Math.log(2 + (ms ?? 0))) / longest);
    paths[kind] = `${paths[kind] ?? ""}M${x} ${22 - high}h4v${high}h-4z`;
    if (kind === "error") crosses += `M${x + 0.8} 3l2.400 2.400M${x + 3.200} 3l-2.400 2.400`;
    if (kind === "timeout") crosses += `M${x + 0.6} 11h2.800`;
    if (kind === "lost") crosses += `M${x + 2} 3v3`;
  });
  const words = summary(shown);
  return html`<svg class="bars" viewBox="0 0 ${most * 6 - 2} 22" role="img" aria-label=${words}><title>${words}</title>${
    shown.length === 0 ? html`<path d="M0 21.500h${most * 6 - 2}" class="bars-none" />` : null}${
    Object.entries(paths).map(([kind, d]) => html`<path key=${kind} d=${d} class="o-${kind}" fill="currentColor" />`)}${
    crosses && html`<path d=${crosses} stroke="var(--surface)" stroke-width="1.100" fill="none" />`}</svg>`;
}

/** @param {[string, number | null][]} items */
function summary(items) {
  if (items.length === 0) return "No runs yet";
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const [name] of items) counts.set(name, (counts.get(name) ?? 0) + 1);
  const longest = Math.max(...items.map(([, ms]) => ms ?? 0));
  const text = [...counts].sort((a, b) => b[1] - a[1]).map(([name, n]) => `${n} ${name}`).join(", ");
  return `Latest ${items.length}: ${text}${longest ? `; longest ${duration(longest)}` : ""}`;
}

/**
 * A small chart of values over time.
 * @param {{values: number[], o?: string, label: string}} props
 */
export function Spark({ values, o = "ok", label }) {
  const most = Math.max(1, ...values), width = 64 / Math.max(1, values.length);
  const d = values.map((v, i) => {
    const high = v ? Math.max(1.500, (22 * v) / most) : 0.8;
    return `M${(i * width).toFixed(2)} ${(24 - high).toFixed(2)}h${Math.max(0.6, width - 0.7).toFixed(2)}v${high.toFixed(2)}h-${Math.max(0.6, width - 0.7).toFixed(2)}z`;
  }).join("");
  return html`<svg class="spark o-${outcomeOf(o)}" viewBox="0 0 64 24" preserveAspectRatio="none" role="img" aria-label=${label}><path d=${d} fill="currentColor" /></svg>`;
}
