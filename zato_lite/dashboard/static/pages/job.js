// One job: what it does and when, its runs, its slots, its year, its definition and who changed it.

import { ApiError } from "../core/api.js";
import { pageUrl } from "../core/base.js";
import { Menu } from "../core/dialog.js";
import { useKeys } from "../core/keys.js";
import { navigate, setQuery } from "../core/router.js";
import { denied } from "../core/session.js";
import { OutcomeMark } from "../core/shapes.js";
import { Page } from "../core/shell.js";
import { useService } from "../core/store.js";
import { Time } from "../core/time.js";
import { Button, Empty, ErrorBox, Show, Tabs } from "../core/ui.js";
import { duration, percent } from "../core/words.js";
import { isChange } from "../lib/changes.js";
import { html, useMemo } from "../vendor/vendor.js";
import { actionKeys, JobDialogs, menuOf, useJobActions } from "./job_actions.js";
import { JobAudit } from "./job_audit.js";
import { JobDefinition } from "./job_definition.js";
import { JobLane } from "./job_lane.js";
import { Upcoming } from "./job_upcoming.js";
import { JobYear } from "./job_year.js";
import { rawOf } from "./jobs_columns.js";
import { RunsList } from "./runs_table.js";

/** @typedef {Record<string, any>} Job */

const TABS = /** @type {[string, string][]} */ ([["runs", "Runs"], ["upcoming", "Upcoming"], ["calendar", "Year"], ["definition", "Definition"], ["audit", "Audit"]]);
const EVENTS = ["run-started", "run-ended", "job-changed", "next", "change"];

/** @param {{params: Record<string, string>, query: Record<string, string>}} props */
export default function JobPage({ params, query }) {
  const id = Number(params["id"]), tab = params["tab"] ?? "runs";
  const found = useService("zato.scheduler.job.get-by-id", { id, include: ["words", "outcomes", "durations"] }, {
    on: EVENTS, relevant: (event) => event.data.job_id === id || (event.data.job_id === undefined && isChange(event)), settle: 500,
  });
  const actions = useJobActions(found.reload, () => void navigate("/jobs"));
  const job = found.data;
  if (!job) return html`<${Page} title=${`Job ${params["id"]}`} crumbs=${[["/jobs", "Jobs"]]}>${found.error instanceof ApiError && found.error.status === 404
    ? html`<${Empty} title="There is no such job." actions=${html`<${Button} href=${pageUrl("/jobs")}>All jobs<//>`}>It may have been deleted; its runs are still among all runs.<//>`
    : html`<${Show} of=${found} rows=${8}>${() => null}<//>`}<//>`;
  return html`<${JobView} key=${id} job=${job} tab=${tab} query=${query} actions=${actions} found=${found} />`;
}

/** @param {{job: Job, tab: string, query: Record<string, string>, actions: import("./job_actions.js").JobActions, found: import("../core/store.js").Loaded<any>}} props */
function JobView({ job, tab, query, actions, found }) {
  useKeys(actionKeys(job, actions));
  const base = `/jobs/${job.id}`, isPaused = job.is_active === false;
  const tabs = TABS.filter(([key]) => key !== "audit" || !denied("zato.scheduler.job.get-audit")).map(([key, words]) => [key, pageUrl(key === "runs" ? base : `${base}/${key}`), words]);
  const usual = useMemo(() => ({ p50_ms: job.p50_ms, p95_ms: job.p95_ms, timezone: job.timezone }), [job.p50_ms, job.p95_ms, job.timezone]);
  return html`<${Page} title=${job.name} heading=${html`<bdi>${job.name}</bdi>`} crumbs=${[["/jobs", "Jobs"]]} cls="job-page" actions=${html`
      <${Button} kind="primary" icon="play" denied=${actions.denied.run} keys="r" onClick=${() => actions.run(job)}>Run now<//>
      ${isPaused ? html`<${Button} denied=${actions.denied.resume} keys="p" onClick=${() => actions.resume(job)}>Resume<//>` : html`<${Button} denied=${actions.denied.pause} keys="p" onClick=${() => actions.ask("pause", job)}>Pause …<//>`}
      <${Button} href=${pageUrl(`${base}/edit`)} denied=${actions.denied.edit} keys="e">Edit<//>
      <${Menu} label="More" kind="" items=${menuOf(job, actions).filter(({ words }) => !["Run now", "Pause …", "Resume", "Edit"].includes(words))} />`}>
    <${Head} job=${job} />
    <${ErrorBox} error=${found.error} retry=${found.reload} isKept />
    <${JobLane} job=${job} />
    <${Tabs} label="Parts of the job" tabs=${tabs} current=${tab} />
    <${Part} tab=${tab} job=${job} query=${query} usual=${usual} />
    <${JobDialogs} actions=${actions} />
  <//>`;
}

/** @param {{tab: string, job: Job, query: Record<string, string>, usual: any}} props */
function Part({ tab, job, query, usual }) {
  if (tab === "upcoming") return html`<${Upcoming} job=${job} />`;
  if (tab === "calendar") return html`<${JobYear} job=${job} year=${query["year"]} />`;
  if (tab === "definition") return html`<${JobDefinition} job=${job} />`;
  if (tab === "audit") return html`<${JobAudit} job=${job} />`;
  const outcomes = (query["outcome"] ?? "").split(",").filter(Boolean);
  return html`<${RunsList} title=${`Runs of ${job.name}`} input=${{ id: job.id }} outcomes=${outcomes} usual=${usual} relevant=${(/** @type {any} */ event) => event.data.job_id === job.id}
    onOutcomes=${(/** @type {string[]} */ chosen) => setQuery({ outcome: chosen.join(",") || null }, { replace: false })}
    empty=${html`<${Empty} title="No run yet.">${nothingYet(job)}<//>`} />`;
}

/** @param {Job} job */
function nothingYet(job) {
  if (job.is_active === false) return "It is paused: resume it, or run it now.";
  return job.next_iso ? html`The first one is due <${Time} at=${job.next_iso} zone=${job.timezone} relative />.` : "It has no slot left: run it now, or edit when it runs.";
}

/** @param {{job: Job}} props */
function Head({ job }) {
  const isPaused = job.is_active === false, by = String(job.paused_by ?? "").replace(/^user:/, "");
  return html`<div class="job-head">
    <p class="job-words">${job.words ?? rawOf(job)} ${job.job_type === "cron_style" && html`<span class="mono muted small">${rawOf(job)}</span>`}</p>
    <p class="lead">
      <${OutcomeMark} o=${job.in_flight > 0 ? "running" : job.state ?? (isPaused ? "paused" : "active")} words=${stateWords(job)} />
      ${job.last_iso && html`<span class="muted">latest <${Time} at=${job.last_iso} relative /></span>`}
      ${!isPaused && html`<span>next <b>${job.next_iso ? html`<${Time} at=${job.next_iso} zone=${job.timezone} relative />` : "never"}</b>${job.next_iso && html` <span class="muted"><${Time} at=${job.next_iso} zone=${job.timezone} withZone /></span>`}</span>`}
      <span class="muted">runs <a href=${pageUrl(`/services/${encodeURIComponent(job.service)}`)}><bdi>${job.service}</bdi></a></span>
      ${job.p50_ms != null && html`<span class="muted">takes ${duration(job.p50_ms)}, 95 % within ${duration(job.p95_ms)}</span>`}
      ${job.failed_share > 0 && html`<span class="o-error">${job.outcomes?.length > 1 ? `${percent(job.failed_share)} of the latest ${job.outcomes.length} runs` : "its only run"} failed</span>`}
    </p>
    ${isPaused && html`<p class="note-box"><${OutcomeMark} o="paused" words=${`Paused${by ? ` by ${by}` : ""}`} /> ${job.paused_since && html`<${Time} at=${job.paused_since} relative />`}${job.pause_note && html`<span class="isolate">“${job.pause_note}”</span>`}${job.pause_until && html` until <${Time} at=${job.pause_until} zone=${job.timezone} withZone />`}</p>`}
    ${job.skip_next > 0 && html`<p class="note-box"><${OutcomeMark} o="skipped" words=${`The next ${job.skip_next === 1 ? "slot" : `${job.skip_next} slots`} will be skipped on request.`} /></p>`}
    ${job.description && html`<p class="isolate job-description">${job.description}</p>`}
    ${job.tags?.length > 0 && html`<p class="chips">${job.tags.map((/** @type {string} */ tag) => html`<a key=${tag} class="chip" href=${pageUrl("/jobs", { q: `tag:${/\s/.test(tag) ? `"${tag}"` : tag}` })}>${tag}</a>`)}</p>`}
  </div>`;
}

/** @param {Job} job */
function stateWords(job) {
  if (job.in_flight > 0) return job.in_flight === 1 ? "running" : `${job.in_flight} running`;
  if (job.state === "failing") return job.failures > 1 ? `failing, ${job.failures} in a row` : "failing";
  return job.state ?? "";
}
