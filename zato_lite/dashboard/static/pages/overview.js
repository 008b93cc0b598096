// Overview: how it goes in a sentence, six tiles, the timeline, what needs somebody, what is next.
import { html, useEffect } from "../vendor/vendor.js";
import { pageUrl } from "../core/base.js";
import { setCount } from "../core/counts.js";
import { setQuery } from "../core/router.js";
import { confines, denied } from "../core/session.js";
import { Page } from "../core/shell.js";
import { useService } from "../core/store.js";
import { instant, now, Time } from "../core/time.js";
import { Button, Card, Chip, Empty, Segments, Show } from "../core/ui.js";
import { count, some } from "../core/words.js";
import { Timeline } from "../timeline/timeline.js";
import { Attention } from "./overview_attention.js";
import { Health, Tiles } from "./overview_tiles.js";
import { History } from "./overview_history.js";

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const CHANGES = ["job-changed", "jobs-changed", "change", "slot-decided"];
const AMOUNTS = /** @type {Record<string, number>} */ ({ wide: 12, medium: 24, dense: 100 });

/** @param {import("../main.js").PageProps} props */
export default function Overview({ query }) {
  const status = useService("zato.scheduler.status", {}, { every: 10, on: CHANGES, settle: 1500 });
  const attention = useService("zato.scheduler.get-attention", { limit: 20 }, { every: 30, on: ["run-ended", ...CHANGES], relevant: (event) => event.kind !== "run-ended" || event.data.outcome !== "ok", settle: 2000 });
  const next = useService("zato.scheduler.job.get-list", { sort: "next", page_size: 8, state: "active", with: ["words"] }, { every: 15, on: CHANGES, settle: 1500 });
  const hour = useService("zato.scheduler.get-figures", lastSpan(HOUR, 60, MINUTE), { every: 60 });
  const soonest = instant(next.data?.rows?.[0]?.next_iso), isPast = soonest !== null && now.value > soonest + 1000 && performance.now() - next.at > 3000;
  useEffect(() => { if (isPast) void next.reload(); }, [isPast]);
  const jobs = next.data?.counts ?? status.data?.jobs;
  useEffect(() => setCount("jobs", jobs?.all), [jobs?.all]);
  useEffect(() => setCount("nodes", status.data?.nodes?.length), [status.data?.nodes?.length]);

  const newJob = html`<${Button} kind="primary" icon="plus" href=${pageUrl("/jobs/new")} denied=${denied("zato.scheduler.job.create")} keys="n">New job<//>`;
  if (jobs?.all === 0) return html`<${Page} title="Overview" actions=${newJob}><${NothingYet} /><//>`;

  const density = query.density ?? "wide", limit = query.lanes === "all" ? 200 : (AMOUNTS[density] ?? 12), scope = query.lanes === "all" ? "all" : "some";
  const filter = { order: query.order ?? "attention", limit };
  return html`<${Page} title="Overview" actions=${newJob} cls="overview">
    <${Health} status=${status.data} attention=${attention} next=${next.data?.rows?.[0]} />
    <${Tiles} jobs=${jobs} status=${status.data} hour=${hour.data} hourAt=${hour.at} isLost=${Boolean(next.error ?? hour.error)} />
    <section class="card" aria-label="Timeline"><${Timeline} filter=${filter} span=${query.span ?? "4h"} at=${query.at} hide=${query.hide ?? ""} density=${density} asTable=${query.table === "1"} mostLanes=${scope === "all" ? 24 : 12}
      onQuery=${(/** @type {any} */ changes) => setQuery(changes)} footer=${(/** @type {any} */ data) => html`<${Foot} data=${data} order=${filter.order} density=${density} scope=${scope} />`} /></section>
    <div class="columns"><${Attention} of=${attention} />
      <${Card} title="Next" stale=${next.isStale} actions=${html`<a class="small" href=${pageUrl("/forecast")}>Forecast of a week</a>`}><${Show} of=${next}>${(/** @type {any} */ data) => html`<${NextList} rows=${data.rows ?? data} />`}<//><//></div>
    <${History} hide=${query.hide ?? ""} range=${query.history ?? "24h"} />
  <//>`;
}

/**
 * Whole buckets up to now, so that the same request is not made anew each second.
 * @param {number} span
 * @param {number} buckets
 * @param {number} grid
 */
export function lastSpan(span, buckets, grid) {
  const until = Math.ceil(Date.now() / grid) * grid;
  return { start: new Date(until - span).toISOString(), until: new Date(until).toISOString(), buckets };
}

/** @param {{data: import("../timeline/data.js").LaneData, order: string, density: string, scope: string}} props */
function Foot({ data, order, density, scope }) {
  const { total } = data;
  return html`${total === undefined ? null : html`<span>${count(data.lanes.length)} of ${some(total, "job")}</span>`}
    <${Segments} cls="tiny" label="Order" options=${[["attention", "Needy first", "Those that need you, then those that run next"], ["next", "Next", "By the next run"], ["name", "Name", "By name"]]} value=${order} onChange=${(/** @type {string} */ value) => setQuery({ order: value === "attention" ? null : value })} />
    <${Segments} cls="tiny" label="Height of lanes" options=${[["wide", "Wide"], ["medium", "Medium"], ["dense", "Dense"]]} value=${density} onChange=${(/** @type {string} */ value) => setQuery({ density: value === "wide" ? null : value })} />
    ${(total ?? 0) > data.lanes.length || scope === "all" ? html`<${Chip} isOn=${scope === "all"} onClick=${() => setQuery({ lanes: scope === "all" ? null : "all" })}>${(total ?? 0) > 200 ? "200 lanes" : "All lanes"}<//>` : null}`;
}

/** @param {{rows: any[]}} props */
function NextList({ rows }) {
  const coming = rows.filter((job) => job.next_iso);
  if (coming.length === 0) return html`<${Empty} title="Nothing is due." />`;
  return html`<ul class="list next-list">${coming.map((job) => html`<li key=${job.id}><span class="when num"><${Time} at=${job.next_iso} zone=${job.timezone} relative due /></span><a class="grow cut name" href=${pageUrl(`/jobs/${job.id}`)}>${job.name}</a><span class="muted cut words">${job.words}</span></li>`)}</ul>`;
}

function NothingYet() {
  const python = `from zato_lite import Service, every\n\n\nclass Hello(Service):\n    schedule = every(minutes=5)\n\n    async def handle(self): ...`;
  if (confines()) return html`<section class="card"><${Empty} title="No job that you may see."><p>Your access is confined to <code>${confines()}</code>.</p><//></section>`;
  return html`<section class="card"><${Empty} title="Nothing is scheduled yet." actions=${html`<${Button} kind="primary" icon="plus" href=${pageUrl("/jobs/new")} denied=${denied("zato.scheduler.job.create")}>New job<//><${Button} href=${pageUrl("/jobs", { import: 1 })} denied=${denied("zato.scheduler.job.create")}>Import …<//>`}>
    <p>A job says which service runs, and when. Make one here, or in a service's file:</p><pre>${python}</pre><p>or from a terminal:</p><pre>zato-lite invoke zato.scheduler.job.create '{"name": "hello", "service": "hello.hello", "job_type": "interval_based", "minutes": 5}'</pre><//></section>`;
}
