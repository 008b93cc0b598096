// The columns of the list of jobs.

import { pageUrl } from "../core/base.js";
import { Menu } from "../core/dialog.js";
import { OutcomeBars, OutcomeMark, Shape } from "../core/shapes.js";
import { instant, Time, zoneName } from "../core/time.js";
import { Button } from "../core/ui.js";
import { duration, percent } from "../core/words.js";
import { formatDuration, NAMES, UNITS } from "../lib/duration.js";
import { html } from "../vendor/vendor.js";
import { menuOf } from "./job_actions.js";

/** @typedef {Record<string, any>} Job */

/** Share of failed runs from which it is marked. */
const MARKED = 0.05;

/**
 * @param {import("./job_actions.js").JobActions} actions
 * @returns {import("../lib/table.js").Column[]}
 */
export function columnsOf(actions) {
  return [
    { key: "job", words: "Job", sort: "name", cls: "name", cell: (job) => html`<a href=${pageUrl(`/jobs/${job.id}`)}><bdi>${job.name}</bdi></a><${Latest} job=${job} />` },
    { key: "when", words: "When", cls: "when wide", cell: (job) => html`<span class="clip" title=${job.words}>${job.words ?? ""}</span><span class="sub mono clip">${rawOf(job)}</span>` },
    { key: "next", words: "Next", sort: "next", cls: "next wide", cell: (job) => html`<${Next} job=${job} />` },
    { key: "latest", words: "Latest 30", sort: "last", cls: "wide bars-cell", cell: (job) => html`<${OutcomeBars} items=${job.outcomes ?? []} />` },
    { key: "p50", words: "p50", sort: "duration", cls: "r hide", cell: (job) => html`<span class="num">${duration(job.p50_ms)}</span>` },
    { key: "p95", words: "p95", cls: "r hide", cell: (job) => html`<span class="num">${duration(job.p95_ms)}</span>` },
    { key: "failed", words: "Failed", sort: "failed", cls: "r hide", cell: (job) => html`<${Failed} share=${job.failed_share} />` },
    { key: "actions", words: html`<span class="sr">Actions</span>`, cls: "actions-cell", cell: (job) => html`<span class="row-actions">
      <${Button} kind="quiet" small icon="play" label=${`Run ${job.name} now`} denied=${actions.denied.run} onClick=${() => actions.run(job)} />
      <${Menu} small label=${`More about ${job.name}`} items=${menuOf(job, actions)} /></span>` },
  ];
}

/**
 * Return the trigger as it is written.
 *
 * @param {Job} job
 */
export function rawOf(job) {
  if (job.job_type === "one_time") return "once";
  if (job.job_type === "interval_based") return formatDuration(NAMES.reduce((ms, unit) => ms + Number(job[unit] ?? 0) * UNITS[unit], 0));
  return `${job.cron_definition}${job.timezone ? ` · ${zoneName(job.timezone)}` : ""}`;
}

/** @param {{job: Job}} props */
function Latest({ job }) {
  if (job.in_flight > 0) return html`<span class="sub"><${OutcomeMark} o="running" words=${job.in_flight > 1 ? `${job.in_flight} running` : "running"} /> · started <${Time} at=${job.last_iso} relative /></span>`;
  if (job.state === "paused") return html`<span class="sub"><${OutcomeMark} o="paused" />${job.paused_since ? html` · <${Time} at=${job.paused_since} relative />` : null}</span>`;
  if (!job.last_outcome) return html`<span class="sub"><${OutcomeMark} o="upcoming" words="never ran" /></span>`;
  const mark = job.state === "missed" || job.state === "late" ? job.state : job.last_outcome;
  return html`<span class="sub"><${OutcomeMark} o=${mark} />${job.failures > 1 ? ` × ${job.failures}` : ""} · <${Time} at=${job.last_iso} relative /></span>`;
}

/** @param {{job: Job}} props */
function Next({ job }) {
  if (job.state === "paused") {
    const by = String(job.paused_by ?? "").replace(/^user:/, "");
    const words = [by && `by ${by}`, job.pause_note].filter(Boolean).join(": ");
    return html`<span class="muted">paused</span><span class="sub clip" title=${words}>${words || (job.pause_until ? "until a date" : "")}</span>`;
  }
  if (!instant(job.next_iso)) return html`<span class="muted">no slot left</span>`;
  return html`<${Time} at=${job.next_iso} zone=${job.timezone} relative /><span class="sub"><${Time} at=${job.next_iso} zone=${job.timezone} /></span>`;
}

/** @param {{share: number | null | undefined}} props */
function Failed({ share }) {
  if (share === null || share === undefined) return html`<span class="muted">–</span>`;
  if (share === 0) return html`<span class="muted num">0</span>`;
  return html`<span class=${`num ${share >= MARKED ? "o-error strong" : ""}`}>${share >= MARKED && html`<${Shape} o="error" />`} ${percent(share)}</span>`;
}
