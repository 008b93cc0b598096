// The year of a job: a square for each day, by the worst outcome of its runs.

import { pageUrl } from "../core/base.js";
import { setQuery } from "../core/router.js";
import { denied } from "../core/session.js";
import { outcomeOf, OutcomeMark } from "../core/shapes.js";
import { useService } from "../core/store.js";
import { dayOf, now } from "../core/time.js";
import { Button, Card, Empty, Show } from "../core/ui.js";
import { count, some } from "../core/words.js";
import { html, useLayoutEffect, useRef } from "../vendor/vendor.js";

/** @typedef {{date: string, counts: Record<string, number>}} Day */

const SERVICE = "zato.scheduler.get-figures";
const DAY_MS = 86_400_000;
/** From the worst to the best. */
const ORDER = ["lost", "error", "timeout", "denied", "missed", "skipped_already_in_flight", "cancelled", "paused", "excluded", "running", "ok"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const CELL = 15;

/** @param {{job: Record<string, any>, year: string | undefined}} props */
export function JobYear({ job, year }) {
  const reason = denied(SERVICE);
  return reason ? html`<div class="card"><${Empty} title="The year cannot be shown.">${reason}<//></div>` : html`<${Year} job=${job} year=${year} />`;
}

/** @param {{job: Record<string, any>, year: string | undefined}} props */
function Year({ job, year }) {
  const current = new Date(now.peek()).getUTCFullYear(), shown = Number(year) || current;
  const start = Date.UTC(shown, 0, 1), days = (Date.UTC(shown + 1, 0, 1) - start) / DAY_MS;
  const figures = useService(SERVICE, { start: new Date(start).toISOString(), until: new Date(start + days * DAY_MS).toISOString(), buckets: days, ids: [job.id] }, { every: 60 });
  const turn = (/** @type {number} */ to) => setQuery({ year: to === current ? null : to }, { replace: false });
  return html`<${Card} title=${`Runs in ${shown}`} stale=${figures.isStale} actions=${html`<span class="small muted">days in UTC</span>
    <${Button} small icon="left" label="The year before" onClick=${() => turn(shown - 1)} /><${Button} small icon="right" label="The year after" denied=${shown >= current ? "this is the current year" : ""} onClick=${() => turn(shown + 1)} />`}>
    <${Show} of=${figures}>${(/** @type {any} */ data) => html`<${YearMap} job=${job} days=${daysOf(data.groups[0]?.counts ?? {}, start, days)} start=${start} /><${Totals} totals=${data.groups[0]?.totals ?? {}} />`}<//><//>`;
}

/** @param {{job: Record<string, any>, days: Day[], start: number}} props */
function YearMap({ job, days, start }) {
  const offset = (new Date(start).getUTCDay() + 6) % 7, today = dayOf(now.peek(), "UTC");
  const weeks = Math.ceil((days.length + offset) / 7), box = useRef(/** @type {HTMLDivElement | null} */ (null));
  useLayoutEffect(() => { // today is in view where the year is wider than its box
    const it = box.current, at = days.findIndex((day) => day.date === today);
    if (it && at > 0) it.scrollLeft = 30 + Math.floor((at + offset) / 7) * CELL - it.clientWidth + 3 * CELL;
  }, [start]);
  return html`<div class="year-box" ref=${box} tabindex="0" role="group" aria-label="A square for each day; its text says the runs"><svg class="year" viewBox=${`0 0 ${weeks * CELL + 30} ${7 * CELL + 20}`} width=${weeks * CELL + 30} height=${7 * CELL + 20} role="img" aria-label=${`${days.filter((day) => total(day)).length} days with runs`}>
    ${["Mon", "Wed", "Fri"].map((words, index) => html`<text key=${words} x="0" y=${20 + index * 2 * CELL + 11} class="year-text">${words}</text>`)}
    ${days.map((day, index) => {
      const at = index + offset, x = 30 + Math.floor(at / 7) * CELL, y = 20 + (at % 7) * CELL, worst = ORDER.find((name) => day.counts[name]);
      return html`<g key=${day.date}>${day.date.endsWith("-01") && html`<text x=${x} y="12" class="year-text">${MONTHS[Number(day.date.slice(5, 7)) - 1]}</text>`}
        <rect x=${x} y=${y} width=${CELL - 3} height=${CELL - 3} rx="2.500" class=${`day ${worst ? `o-${outcomeOf(worst)} ${["ok", "running"].includes(worst) ? "" : "bad"}` : "none"} ${day.date === today ? "today" : ""}`}><title>${titleOf(day)}</title></rect>
        ${worst && !["ok", "running"].includes(worst) && html`<path class="day-cross" d=${`M${x + 4} ${y + 4}l4 4m0-4l-4 4`} />`}</g>`;
    })}</svg></div>
    <details class="pad"><summary>The same as a table</summary><div class="plain-box"><table class="plain"><thead><tr><th scope="col">Day</th><th scope="col">Runs and slots</th></tr></thead><tbody>${days.filter(total).reverse().map((day) => html`<tr key=${day.date}><td class="num">${day.date}</td><td>${wordsOf(day)}</td></tr>`)}</tbody></table></div></details>
    <p class="sr">Runs of ${job.name}</p>`;
}

/** @param {{totals: Record<string, number>}} props */
function Totals({ totals }) {
  const names = Object.keys(totals).filter((name) => totals[name]);
  return html`<p class="lead pad">${names.length ? names.map((name) => html`<span key=${name}><${OutcomeMark} o=${name} /> <b class="num">${count(totals[name])}</b></span>`) : html`<span class="muted">No run in this year.</span>`}
    <span class="grow"></span><a class="small" href=${pageUrl("/runs")}>All runs</a></p>`;
}

/**
 * @param {Record<string, number[]>} counts
 * @param {number} start
 * @param {number} days
 * @returns {Day[]}
 */
function daysOf(counts, start, days) {
  return Array.from({ length: days }, (_, index) => ({
    date: new Date(start + index * DAY_MS).toISOString().slice(0, 10),
    counts: Object.fromEntries(Object.entries(counts).map(([name, values]) => [name, values[index] ?? 0])),
  }));
}

/** @param {Day} day */
function total(day) {
  return Object.values(day.counts).reduce((sum, each) => sum + each, 0);
}

/** @param {Day} day */
function wordsOf(day) {
  return Object.entries(day.counts).filter(([, each]) => each).map(([name, each]) => `${count(each)} ${name.replaceAll("_", " ")}`).join(", ");
}

/** @param {Day} day */
function titleOf(day) {
  return total(day) ? `${day.date}: ${wordsOf(day)}` : `${day.date}: ${some(0, "run")}`;
}
