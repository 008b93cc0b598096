// Runs as rows: of one job, or of all.

import { pageUrl } from "../core/base.js";
import { navigate } from "../core/router.js";
import { denied } from "../core/session.js";
import { outcomeOf, OutcomeMark } from "../core/shapes.js";
import { instant, now, Time } from "../core/time.js";
import { Button, Chip, Empty, ErrorBox, Skeleton } from "../core/ui.js";
import { count, duration, some } from "../core/words.js";
import { useKeyset } from "../lib/keyset.js";
import { VirtualTable } from "../lib/table.js";
import { html, useMemo, useState } from "../vendor/vendor.js";

/** @typedef {Record<string, any>} Run */

const SERVICE = "zato.scheduler.get-runs";
/** Chips: key, word, and the outcomes that each stands for. @type {[string, string, string[]][]} */
export const CHIPS = [
  ["ok", "ok", ["ok"]], ["error", "error", ["error"]], ["timeout", "timeout", ["timeout"]], ["running", "running", ["running"]],
  ["cancelled", "cancelled", ["cancelled"]], ["lost", "lost", ["lost"]], ["denied", "denied", ["denied"]],
];

/**
 * Runs, with chips for their outcomes; new ones wait until the pointer has left.
 *
 * @param {{input: Record<string, any>, outcomes: string[], onOutcomes: (outcomes: string[]) => void, usual?: any, hasJob?: boolean, empty: any,
 *   relevant?: (event: any) => boolean, selection?: any, title: string}} props
 */
export function RunsList(props) {
  const reason = denied(SERVICE);
  return reason ? html`<div class="card"><${Empty} title="Runs cannot be shown.">${reason}<//></div>` : html`<${Runs} ...${props} />`;
}

/** @param {Parameters<typeof RunsList>[0]} props */
function Runs({ input, outcomes, onOutcomes, usual, hasJob = false, empty, relevant, selection, title }) {
  const [isOver, setOver] = useState(false);
  const chosen = CHIPS.filter(([key]) => outcomes.includes(key)).flatMap(([, , names]) => names);
  const list = useKeyset(SERVICE, { ...input, ...(chosen.length && { outcomes: chosen }) }, {
    next: "next_before", on: ["run-started", "run-ended"], relevant: (event) => isNew(event, chosen) && (!relevant || relevant(event)), isHeld: isOver || (selection?.count ?? 0) > 0,
  });
  const rows = list.rows, columns = useMemo(() => columnsOf(hasJob, usual), [hasJob, usual]);
  const toggle = (/** @type {string} */ key) => onOutcomes(outcomes.includes(key) ? outcomes.filter((other) => other !== key) : [...outcomes, key]);
  return html`<div class="chips list-chips" role="group" aria-label="Outcomes"><${Chip} isOn=${!outcomes.length} onClick=${() => onOutcomes([])}>All<//>${
      CHIPS.map(([key, words]) => html`<${Chip} key=${key} isOn=${outcomes.includes(key)} onClick=${() => toggle(key)}><${OutcomeMark} o=${key} words=${words} /><//>`)}
      <span class="grow"></span>${list.fresh > 0 && rows && html`<${Button} small onClick=${list.reload}>${count(list.fresh)} new<//>`}</div>
    <${ErrorBox} error=${list.error} retry=${list.reload} isKept=${rows !== undefined} />
    <div class=${`card ${hasJob ? "of-all" : ""}`} onPointerEnter=${() => setOver(true)} onPointerLeave=${() => setOver(false)}>${
      rows === undefined ? !list.error && html`<${Skeleton} rows=${10} />`
      : rows.length === 0 ? (outcomes.length ? html`<${Empty} title="No run with these outcomes." actions=${html`<${Button} onClick=${() => onOutcomes([])}>Show all outcomes<//>`} />` : empty)
      : html`<${VirtualTable} label=${title} columns=${columns} total=${rows.length} rowAt=${(/** @type {number} */ index) => rows[index]} keyOf=${(/** @type {Run} */ run) => run.run_id}
          nameOf=${(/** @type {Run} */ run) => `run ${run.current_run} of ${run.job_name}`} onSee=${list.see} selection=${selection?.table(rows)} stale=${list.isStale} cardHeight=${hasJob ? 136 : 124}
          keysOf=${(/** @type {Run} */ run) => [{ keys: "Enter", words: "Open the run", run: () => void navigate(`/jobs/${run.job_id}/runs/${run.current_run}`) }]} />`}</div>
    ${rows && rows.length > 0 && html`<p class="small muted pad" role="status">${list.isWhole ? `${some(rows.length, "run")}, all that are kept.` : `The latest ${some(rows.length, "run")}; older ones come as you scroll.`}</p>`}`;
}

/**
 * Return true if an event adds a run to a list of some outcomes; all, if there are none.
 *
 * @param {import("../core/live.js").LiveEvent} event
 * @param {string[]} outcomes
 */
function isNew({ kind, data }, outcomes) {
  if (kind === "run-started") return !outcomes.length || outcomes.includes("running");
  return outcomes.includes(data.outcome);
}

/**
 * @param {boolean} hasJob
 * @param {any} usual
 * @returns {import("../lib/table.js").Column[]}
 */
function columnsOf(hasJob, usual) {
  const job = hasJob ? [{ key: "job", words: "Job", cls: "name", cell: (/** @type {Run} */ run) => html`<a href=${pageUrl(`/jobs/${run.job_id}`)}><bdi>${run.job_name}</bdi></a><span class="sub"><bdi>${run.service ?? ""}</bdi></span>` }] : [];
  return [
    { key: "run", words: "Run", cls: "run-cell", cell: (run) => html`<a class="run-link" href=${pageUrl(`/jobs/${run.job_id}/runs/${run.current_run}`)}><${OutcomeMark} o=${run.outcome} /> <span class="num">#${run.current_run}</span></a>` },
    ...job,
    { key: "slot", words: "Slot", cls: "slot-cell wide", cell: (run) => html`<${Time} at=${run.planned_fire_time_iso} zone=${run.timezone ?? usual?.timezone} /><span class="sub clip" title=${kindOf(run)}>${kindOf(run)}</span>` },
    { key: "delay", words: "Delay", cls: "r hide", cell: (run) => html`<span class="num">${duration(run.delay_ms)}</span>` },
    { key: "duration", words: "Took", cls: "took-cell wide", cell: (run) => html`<${Took} run=${run} usual=${usual} />` },
    { key: "note", words: "Attempt, error", cls: "note-cell wide", cell: (run) => html`<${Note} run=${run} />` },
  ];
}

/** @param {Run} run */
function kindOf(run) {
  const by = run.requested_by ? `, ${String(run.requested_by).replace(/^user:/, "")}` : "";
  return run.kind === "scheduled" ? "" : `${run.kind}${by}`;
}

/** The duration as a bar against the 95th percentile. @param {{run: Run, usual: any}} props */
function Took({ run, usual }) {
  const isOpen = run.outcome === "running", started = instant(run.actual_fire_time_iso);
  const ms = isOpen ? (started === null ? null : Math.max(0, now.value - started)) : run.duration_ms;
  const p95 = usual?.p95_ms;
  if (!p95 || ms === null) return html`<span class="num">${duration(ms)}</span>`;
  const share = Math.min(1, ms / (2 * p95));
  return html`<span class="took"><svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><rect class="took-all" width="100" height="8" rx="2" /><rect class=${`o-${outcomeOf(run.outcome)}`} fill="currentColor" width=${Math.max(1, 100 * share)} height="8" rx="2" /><path class="took-mark" d="M50 0v8" /></svg><span class="num" title=${ms > p95 ? `longer than the usual ${duration(p95)}` : `95 % take at most ${duration(p95)}`}>${duration(ms)}</span></span>`;
}

/** @param {{run: Run}} props */
function Note({ run }) {
  const attempt = run.attempt > 1 ? `attempt ${run.attempt}` : "";
  const logs = run.log_summary, marks = logs ? [logs.error && some(logs.error, "error line"), logs.warn && some(logs.warn, "warning")].filter(Boolean).join(", ") : "";
  const words = String(run.error ?? "").split("\n").findLast((line) => line.trim() !== "") ?? "";
  return html`<span class="clip isolate" title=${words}>${[attempt, words].filter(Boolean).join(" · ")}</span><span class="sub">${[marks, run.node].filter(Boolean).join(" · ")}</span>`;
}
