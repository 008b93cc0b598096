// Forecast: the expected load of the coming days, where it will pile up, and how to spread it.
import { html, useState } from "../vendor/vendor.js";
import { pageUrl } from "../core/base.js";
import { setQuery } from "../core/router.js";
import { Page } from "../core/shell.js";
import { OutcomeMark, Shape } from "../core/shapes.js";
import { useService } from "../core/store.js";
import { instant, shortTime, shownZone, Time, zoneMode, zoneName } from "../core/time.js";
import { Card, Chip, Empty, Segments, Show } from "../core/ui.js";
import { count, duration, percent, some } from "../core/words.js";
import { Collisions } from "./forecast_collisions.js";
import { HeatMap, METRICS } from "./forecast_grid.js";

const DAYS = ["1", "3", "7", "14"];

/** @param {import("../main.js").PageProps} props */
export default function Forecast({ query }) {
  const days = DAYS.includes(query.days) ? query.days : "7", metric = query.show in METRICS ? query.show : "peak";
  const of = useService("zato.scheduler.get-forecast", { days: Number(days), query: query.q ?? "", service_name: query.service ?? "" }, { every: 300 });
  const [at, choose] = useState(/** @type {number | null} */ (null));
  void zoneMode.value;
  const clear = (query.q || query.service) && html`<${Chip} isOn onClick=${() => setQuery({ q: null, service: null })}>${query.q || query.service} ×<//>`;
  return html`<${Page} title="Forecast"><div class="row forecast-bar"><${Segments} label="Days" options=${DAYS.map((n) => [n, some(Number(n), "day")])} value=${days} onChange=${(/** @type {string} */ n) => setQuery({ days: n === "7" ? null : n })} />
      <${Segments} label="What is shown" options=${Object.entries(METRICS).map(([key, it]) => [key, it.words, it.title])} value=${metric} onChange=${(/** @type {string} */ key) => setQuery({ show: key === "peak" ? null : key })} />${clear || null}</div>
    <${Show} of=${of} rows=${10}>${(/** @type {any} */ data) => data.jobs === 0 ? html`<section class="card"><${Empty} title="Nothing is due.">The load of the coming days appears here when jobs are active.<//></section>` : html`<${Sentence} data=${data} />
      <${Card} title=${`Expected load by hour, ${zoneMode.value === "job" ? "UTC" : zoneName(shownZone())}`} stale=${of.isStale} actions=${html`<${Scale} data=${data} metric=${metric} />`}><${HeatMap} data=${data} metric=${metric} at=${at} choose=${choose} />${at === null ? null : html`<${Bucket} data=${data} at=${at} />`}<//>
      <${Collisions} data=${data} reload=${of.reload} />
      <div class="columns"><${Overlapping} items=${data.overlapping} /><${Marks} data=${data} /></div>`}<//><//>`;
}

/** @param {{data: any}} props */
function Sentence({ data }) {
  const peak = Math.max(0, ...data.peak), at = data.peak.indexOf(peak), start = instant(data.start_iso) ?? 0, zone = shownZone();
  const runs = data.runs.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b, 0);
  const isOver = data.over_capacity.length > 0;
  return html`<div class="health"><strong>${isOver ? `In ${some(data.over_capacity.length, "hour")} more runs are due than may run at once.` : peak > 0 ? "The load fits." : "Nothing is due."}</strong>
    ${peak > 0 ? html`<span>at most <b>${round(peak)}</b> of ${count(data.capacity)} at once, ${shortTime(start + at * data.bucket_ms, zone)}</span>` : null}<span>about ${count(Math.round(runs))} runs of ${some(data.jobs, "job")}</span>
    ${data.unknown ? html`<span title="They count as taking no time, until they have run">${some(data.unknown, "job")} without a known duration</span>` : null}</div>`;
}

/** @param {number} value */
export function round(value) {
  return value >= 100 ? count(Math.round(value)) : String(Number(value.toPrecision(2)));
}

/** @param {{data: any, metric: string}} props */
function Scale({ data, metric }) {
  const most = Math.max(0, ...data[METRICS[metric].field]);
  return html`<span class="scale tiny muted">0 ${[0, 1, 2, 3, 4, 5].map((n) => html`<i key=${n} class=${`heat h${n}`}></i>`)} ${round(most)}</span>${data.over_capacity.length ? html`<${OutcomeMark} o="lost" words="over the capacity" />` : null}`;
}

/** @param {{data: any, at: number}} props */
function Bucket({ data, at }) {
  const start = (instant(data.start_iso) ?? 0) + at * data.bucket_ms, zone = shownZone(), middle = new Date(start + data.bucket_ms / 2).toISOString();
  return html`<div class="foot small"><b class="num">${shortTime(start, zone)}</b><span>about ${round(data.runs[at])} runs</span><span>${round(data.concurrent[at])} at once on average</span><span>${round(data.peak[at])} at the busiest instant</span>
    <span class="grow"></span><a href=${pageUrl("/", { at: middle, span: `${Math.round((data.bucket_ms * 2) / 1000)}s`, order: "next", lanes: "all" })}>Show on the timeline</a></div>`;
}

/** @param {{items: any[]}} props */
function Overlapping({ items }) {
  return html`<${Card} title="Jobs that will overlap themselves">${items.length === 0 ? html`<${Empty} title="None.">A job whose runs take longer than its period appears here.<//>` : html`<ul class="list">${items.map((item) => html`<li key=${item.job_id}><${Shape} o="skipped" words="overlap" /><div class="grow"><a class="name isolate" href=${pageUrl(`/jobs/${item.job_id}`)}>${item.job_name}</a><p class="isolate">${item.sentence}</p>
    <p class="tiny muted">every ${duration(item.period_ms)} · half of the runs within ${duration(item.p50_ms)}, 95 % within ${duration(item.p95_ms)} · ${percent(item.share)} longer than the period</p></div><a class="btn small" href=${pageUrl(`/jobs/${item.job_id}/edit`)}>Edit</a></li>`)}</ul>`}<//>`;
}

/** @param {{data: any}} props */
function Marks({ data }) {
  const { clock_changes: changes, days_off: off } = data;
  return html`<${Card} title="Clock changes and days off">${changes.length + off.length === 0 ? html`<${Empty} title="None in these days." />` : html`<ul class="list">${changes.map((/** @type {any} */ item) => html`<li key=${item.at_iso + item.timezone}><${Shape} o="late" words="clock change" /><div class="grow"><b><${Time} at=${item.at_iso} zone=${item.timezone} withZone /></b><p class="isolate">${item.sentence}</p></div></li>`)}
    ${off.map((/** @type {any} */ item) => html`<li key=${item.date + item.calendar}><${Shape} o="excluded" words="day off" /><div class="grow"><b class="num">${item.date}</b> <a class="isolate" href=${pageUrl(`/calendars/${encodeURIComponent(item.calendar)}`)}>${item.calendar}</a><p class="isolate">${item.reason && item.reason !== item.date ? `${item.reason}: ` : ""}${some(item.jobs, "job does", "jobs do")} not run.</p></div></li>`)}</ul>`}<//>`;
}
