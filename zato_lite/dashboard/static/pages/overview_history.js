// History: runs by outcome over time, as stacked bars and as a table.
import { html, useRef, useState } from "../vendor/vendor.js";
import { pageUrl } from "../core/base.js";
import { setQuery } from "../core/router.js";
import { OutcomeMark, outcomeOf } from "../core/shapes.js";
import { useService } from "../core/store.js";
import { instant, shortTime, shownZone, zoneMode } from "../core/time.js";
import { Button, Card, Empty, Segments, Show } from "../core/ui.js";
import { count } from "../core/words.js";
import { ticksOf } from "../timeline/axis.js";
import { lastSpan } from "./overview.js";

const HOUR = 3_600_000, DAY = 24 * HOUR;
const RANGES = /** @type {Record<string, {words: string, span: number, buckets: number, grid: number}>} */ ({
  "1h": { words: "1 h", span: HOUR, buckets: 60, grid: 60_000 }, "24h": { words: "24 h", span: DAY, buckets: 96, grid: HOUR / 4 },
  "7d": { words: "7 d", span: 7 * DAY, buckets: 84, grid: HOUR }, "30d": { words: "30 d", span: 30 * DAY, buckets: 60, grid: 12 * HOUR },
});
const ORDER = ["ok", "running", "skipped", "cancelled", "excluded", "paused", "missed", "timeout", "error", "lost"];
const WIDTH = 1000, HEIGHT = 150;

/** @param {{hide: string, range: string}} props */
export function History({ hide, range }) {
  const chosen = RANGES[range] ?? RANGES["24h"], hidden = new Set(hide.split(",")), [isTable, setTable] = useState(false);
  const figures = useService("zato.scheduler.get-figures", lastSpan(chosen.span, chosen.buckets, chosen.grid), { every: 60 });
  const actions = html`<${Segments} label="Range of the history" options=${Object.entries(RANGES).map(([key, it]) => [key, it.words])} value=${range in RANGES ? range : "24h"} onChange=${(/** @type {string} */ value) => setQuery({ history: value === "24h" ? null : value })} /><${Button} kind="quiet" icon=${isTable ? "overview" : "jobs"} label=${isTable ? "Show as a chart" : "Show as a table"} onClick=${() => setTable(!isTable)} />`;
  return html`<${Card} title="History" actions=${actions} stale=${figures.isStale} cls="history"><${Show} of=${figures}>${(/** @type {any} */ data) => {
    const series = seriesOf(data, hidden);
    if (series.length === 0) return html`<${Empty} title="No runs in this span." />`;
    return isTable ? html`<${HistoryTable} data=${data} series=${series} />` : html`<${Chart} data=${data} series=${series} />`;
  }}<//><//>`;
}

/** @typedef {{kind: string, values: number[], total: number}} Series */

/** @param {any} data @param {Set<string>} hidden @returns {Series[]} */
function seriesOf(data, hidden) {
  /** @type {Map<string, number[]>} */
  const sums = new Map();
  for (const [name, values] of Object.entries(data.groups[0]?.counts ?? {})) {
    const kind = outcomeOf(name), before = sums.get(kind);
    sums.set(kind, before ? before.map((value, i) => value + values[i]) : values);
  }
  return ORDER.filter((kind) => sums.has(kind) && !hidden.has(kind)).map((kind) => ({ kind, values: /** @type {number[]} */ (sums.get(kind)), total: sums.get(kind)?.reduce((a, b) => a + b, 0) ?? 0 })).filter((item) => item.total > 0);
}

/** A round and even number that is not below a count: half of it is a tick, too. @param {number} value */
function roundUp(value) {
  const size = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 2, 4, 6, 8].map((n) => n * size).find((n) => n >= value && n % 2 === 0) ?? 10 * size;
}

/** @param {{data: any, series: Series[]}} props */
function Chart({ data, series }) {
  const [at, setAt] = useState(-1), box = useRef(/** @type {HTMLElement | null} */ (null));
  void zoneMode.value;
  const n = series[0].values.length, step = WIDTH / n, start = instant(data.start_iso) ?? 0, end = instant(data.until_iso) ?? 1, zone = shownZone();
  const sums = series[0].values.map((_, i) => series.reduce((all, { values }) => all + values[i], 0)), most = roundUp(Math.max(...sums));
  const bases = new Array(n).fill(0);
  const paths = series.map(({ kind, values }) => ({ kind, d: values.map((value, i) => {
    if (!value) return "";
    const high = Math.max(1, (value / most) * HEIGHT), low = HEIGHT - bases[i];
    bases[i] += high;
    return `M${(i * step).toFixed(1)} ${low.toFixed(1)}h${(step * 0.82).toFixed(1)}v-${high.toFixed(1)}h-${(step * 0.82).toFixed(1)}z`;
  }).join("") }));
  const move = (/** @type {PointerEvent} */ event) => { const rect = /** @type {HTMLElement} */ (box.current).getBoundingClientRect(); setAt(Math.min(n - 1, Math.max(0, Math.floor(((event.clientX - rect.left) / rect.width) * n)))); };
  const bucket = (/** @type {number} */ i) => start + i * data.bucket_ms;
  const words = `Runs by outcome: ${series.map(({ kind, total }) => `${count(total)} ${kind}`).join(", ")}`;
  return html`<div class="chart-legend row">${series.map(({ kind, total }) => html`<span key=${kind} class="small"><${OutcomeMark} o=${kind} /> <b class="num">${count(total)}</b></span>`)}</div>
    <div class="chart"><div class="chart-y tiny muted num"><span>${count(most)}</span><span>${count(most / 2)}</span><span>0</span></div><div class="chart-plot" ref=${box} onPointerMove=${move} onPointerLeave=${() => setAt(-1)}>
      <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${words}><path class="chart-grid" d=${`M0 .5h${WIDTH}M0 ${HEIGHT / 2}h${WIDTH}`} />${at >= 0 ? html`<rect class="chart-at" x=${at * step} y="0" width=${step} height=${HEIGHT} />` : null}${paths.map(({ kind, d }) => html`<path key=${kind} class=${`o-${kind}`} fill="currentColor" d=${d} />`)}</svg>
      <div class="chart-x tiny muted num">${ticksOf(start, end, Math.min(760, innerWidth - 110), zone).ticks.filter((tick) => tick.at < end - (end - start) * 0.03).map((tick) => html`<span key=${tick.at} style=${{ left: `${(100 * (tick.at - start)) / (end - start)}%` }}>${tick.label}</span>`)}</div>
      ${at >= 0 ? html`<div class="tip" style=${at > n * 0.7 ? { right: `${100 - (100 * at) / n + 1}%`, top: "8px" } : { left: `${(100 * (at + 1)) / n + 1}%`, top: "8px" }} aria-hidden="true"><b class="num">${shortTime(bucket(at), zone)} – ${shortTime(bucket(at + 1), zone)}</b><dl>${series.filter(({ values }) => values[at]).map(({ kind, values }) => html`<dt key=${kind}><${OutcomeMark} o=${kind} /></dt><dd>${count(values[at])}</dd>`)}${sums[at] ? null : html`<dt>no runs</dt>`}</dl></div>` : null}</div></div>`;
}

/** @param {{data: any, series: Series[]}} props */
function HistoryTable({ data, series }) {
  const start = instant(data.start_iso) ?? 0, zone = shownZone(), rows = series[0].values.map((_, i) => i).filter((i) => series.some(({ values }) => values[i])).reverse();
  const iso = (/** @type {number} */ i) => new Date(start + i * data.bucket_ms).toISOString();
  return html`<div class="mark-table" tabindex="0" role="group" aria-label="History as a table"><table class="plain-table"><caption class="sr">Runs by time and outcome</caption><thead><tr><th scope="col">From</th>${series.map(({ kind }) => html`<th scope="col" key=${kind} class="right"><${OutcomeMark} o=${kind} /></th>`)}</tr></thead>
    <tbody>${rows.map((i) => html`<tr key=${i}><th scope="row"><a href=${pageUrl("/runs", { since: iso(i), until: iso(i + 1) })}>${shortTime(start + i * data.bucket_ms, zone)}</a></th>${series.map(({ kind, values }) => html`<td key=${kind} class="right num">${count(values[i])}</td>`)}</tr>`)}</tbody></table></div>`;
}
