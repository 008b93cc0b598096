// The heat map: a row for each day, a column for each hour, in the shown zone.
import { html, useRef } from "../vendor/vendor.js";
import { say } from "../core/dialog.js";
import { Shape } from "../core/shapes.js";
import { dayOf, format, instant, shortTime, shownZone } from "../core/time.js";
import { count } from "../core/words.js";
import { offsetOf } from "../timeline/axis.js";
import { round } from "./forecast.js";

const HOUR = 3_600_000;

/** What can be shown: words, title and the field of the answer. */
export const METRICS = /** @type {Record<string, {words: string, title: string, field: string}>} */ ({
  peak: { words: "Busiest instant", title: "Expected runs in flight at the busiest instant of the hour", field: "peak" },
  concurrent: { words: "Average", title: "Expected mean number of runs in flight", field: "concurrent" },
  runs: { words: "Runs", title: "Expected number of runs that start", field: "runs" },
});

/**
 * @typedef {{day: string, start: number, cells: (number[])[]}} Day cells: indexes of buckets by hour;
 *   two where the clock is set back, none where it skips the hour
 */

/** @param {any} data @param {string} zone @returns {Day[]} */
function daysOf(data, zone) {
  /** @type {Map<string, Day>} */
  const days = new Map();
  const start = instant(data.start_iso) ?? 0;
  data.peak.forEach((/** @type {number} */ _, /** @type {number} */ i) => {
    const at = start + i * data.bucket_ms, day = dayOf(at, zone), hour = Math.floor((((at + offsetOf(at, zone)) % (24 * HOUR)) + 24 * HOUR) % (24 * HOUR) / HOUR);
    const row = days.get(day) ?? { day, start: at, cells: Array.from({ length: 24 }, () => []) };
    row.cells[hour].push(i);
    days.set(day, row);
  });
  return [...days.values()];
}

/**
 * @param {{data: any, metric: string, at: number | null, choose: (bucket: number) => void}} props
 */
export function HeatMap({ data, metric, at, choose }) {
  const zone = shownZone(), days = daysOf(data, zone), values = /** @type {number[]} */ (data[METRICS[metric].field]), most = Math.max(1e-9, ...values);
  const over = new Set(data.over_capacity), off = new Map(data.days_off.map((/** @type {any} */ item) => [item.date, item])), table = useRef(/** @type {HTMLElement | null} */ (null));
  const changes = data.clock_changes.map((/** @type {any} */ item) => dayOf(instant(item.at_iso) ?? 0, zone));
  const start = instant(data.start_iso) ?? 0;
  const wordsOf = (/** @type {number} */ i) => `${shortTime(start + i * data.bucket_ms, zone)}: about ${round(data.runs[i])} runs, ${round(data.concurrent[i])} at once on average, ${round(data.peak[i])} at most${over.has(i) ? `, over the capacity of ${count(data.capacity)}` : ""}`;
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -24 * (HOUR / data.bucket_ms), ArrowDown: 24 * (HOUR / data.bucket_ms) }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = Math.min(values.length - 1, Math.max(0, (at ?? 0) + step));
    choose(next);
    say(wordsOf(next), { now: true });
    requestAnimationFrame(() => /** @type {HTMLElement | null | undefined} */ (table.current?.querySelector(`[data-bucket="${next}"]`))?.focus());
  };
  return html`<div class="heat-scroll"><table class="heat-map" ref=${table} onKeyDown=${onKey}><caption class="sr">${METRICS[metric].title}, by day and hour</caption>
    <thead><tr><th scope="col"><span class="sr">Day</span></th>${Array.from({ length: 24 }, (_, hour) => html`<th scope="col" key=${hour} class="num">${String(hour).padStart(2, "0")}</th>`)}</tr></thead>
    <tbody>${days.map(({ day, start: first, cells }) => html`<tr key=${day}><th scope="row"><span class="num">${format(first, zone, { weekday: "short", day: "numeric", month: "short" }).replace(",", "")}</span>${changes.includes(day) ? html`<${Shape} o="late" words="the clock changes" />` : null}${off.has(day) ? html`<${Shape} o="excluded" words=${`day off: ${off.get(day).reason || off.get(day).calendar}`} />` : null}</th>
      ${cells.map((buckets, hour) => html`<${Cell} key=${hour} buckets=${buckets} values=${values} most=${most} over=${over} at=${at} choose=${choose} wordsOf=${wordsOf} />`)}</tr>`)}</tbody></table></div>`;
}

/**
 * @param {{buckets: number[], values: number[], most: number, over: Set<number>, at: number | null, choose: (i: number) => void, wordsOf: (i: number) => string}} props
 */
function Cell({ buckets, values, most, over, at, choose, wordsOf }) {
  if (buckets.length === 0) return html`<td class="heat none"></td>`;
  const i = buckets.reduce((a, b) => (values[b] > values[a] ? b : a)), value = values[i];
  const level = value <= 0 ? 0 : Math.min(5, 1 + Math.floor((4.999 * Math.sqrt(value)) / Math.sqrt(most)));
  const isChosen = buckets.includes(at ?? -1), words = buckets.map(wordsOf).join("\n");
  return html`<td class=${`heat h${level} ${buckets.some((b) => over.has(b)) ? "over" : ""}`}><button type="button" data-bucket=${i} tabindex=${isChosen || (at === null && i === 0) ? 0 : -1} aria-pressed=${isChosen ? "true" : "false"} aria-label=${words} title=${words} onClick=${() => choose(i)}>${value > 0 ? round(value) : ""}</button></td>`;
}
