// One run: where its time went, its attempts, input, result, error and log.

import { invoke } from "../core/api.js";
import { pageUrl } from "../core/base.js";
import { confirm, toast } from "../core/dialog.js";
import { pretty } from "../core/exact.js";
import { useKeys } from "../core/keys.js";
import { navigate, place, setQuery } from "../core/router.js";
import { denied } from "../core/session.js";
import { OutcomeMark } from "../core/shapes.js";
import { Page } from "../core/shell.js";
import { useAction, useService } from "../core/store.js";
import { Time } from "../core/time.js";
import { Button, Card, CopyButton, Empty, ErrorBox, Show } from "../core/ui.js";
import { some } from "../core/words.js";
import { ownFrames } from "../lib/traceback.js";
import { html } from "../vendor/vendor.js";
import { RunLog } from "./run_log.js";
import { Waterfall } from "./run_waterfall.js";

/** @typedef {Record<string, any>} Run */

const CANCEL = "zato.scheduler.job.cancel-run";
const RETRY = "zato.scheduler.job.retry-run";

/** @param {{params: Record<string, string>}} props */
export default function RunPage({ params }) {
  const job = Number(params["id"]), number = Number(params["run"]);
  const detail = useService("zato.scheduler.job.get-run-detail", { job_id: job, current_run: number }, {
    on: ["run-started", "run-ended"],
    relevant: ({ data }) => data.job_id === job && data.run === number,
    settle: 200,
  });
  const usual = useService("zato.scheduler.job.get-by-id", { id: job, include: ["durations"] });
  if (!detail.data?.record) return html`<${Page} title=${`Run ${number}`} crumbs=${[["/jobs", "Jobs"], [`/jobs/${job}`, `Job ${job}`]]}><${Show} of=${detail} rows=${8}>${() => html`<${Empty} title="This run is not in the history."
    actions=${html`<${Button} href=${pageUrl(`/jobs/${job}`)}>All runs of the job<//>`}>It was deleted by the job's retention, or it never was.<//>`}<//><//>`;
  const data = detail.data;
  return html`<${RunView} key=${number} job=${job} run=${data.record} before=${data.prev_run} after=${data.next_run} usual=${usual.data} detail=${detail} />`;
}

/** @param {{job: number, run: Run, before: number | null, after: number | null, usual: any, detail: import("../core/store.js").Loaded<any>}} props */
function RunView({ job, run, before, after, usual, detail }) {
  const number = run.current_run, isOpen = run.outcome === "running";
  const to = (/** @type {number | null} */ other) => { if (other) void navigate(`/jobs/${job}/runs/${other}`); };
  const cancel = useAction(async () => {
    const yes = await confirm({ title: `Cancel run ${number}?`, text: "The service is stopped where it waits next; the run ends as cancelled.", yes: "Cancel the run", no: "Let it run", danger: true });
    if (!yes) return;
    const { is_cancelled: isCancelled } = await invoke(CANCEL, { job_id: job, current_run: number });
    toast(isCancelled ? `Run ${number} is cancelled.` : `Run ${number} had ended already.`);
    void detail.reload();
  });
  const retry = useAction(async () => {
    const { current_run: fresh } = await invoke(RETRY, { job_id: job, current_run: number });
    await navigate(`/jobs/${job}/runs/${fresh}`);
  });
  const why = () => setQuery({ why: run.planned_fire_time_iso, why_job: String(job) }, { replace: false });
  useKeys([
    { keys: "j", words: "Next run", run: () => to(after) },
    { keys: "k", words: "Previous run", run: () => to(before) },
    { keys: "w", words: "Why", run: why },
  ]);
  return html`<${Page} title=${`Run ${number} of ${run.job_name}`} heading=${html`Run ${number}`} cls="run-page"
    crumbs=${[[`/jobs/${job}`, run.job_name]]} actions=${html`
      <${Button} icon="left" label="Previous run" keys="k" denied=${before ? "" : "this is the first run that is kept"} onClick=${() => to(before)} />
      <${Button} icon="right" label="Next run" keys="j" denied=${after ? "" : "this is the latest run"} onClick=${() => to(after)} />
      <${Button} onClick=${why} keys="w">Why<//>
      ${isOpen
        ? html`<${Button} kind="danger" busy=${cancel.isBusy} denied=${denied(CANCEL)} onClick=${cancel.run}>Cancel …<//>`
        : html`<${Button} kind="primary" busy=${retry.isBusy} denied=${denied(RETRY)} onClick=${retry.run}>Retry<//>`}`}>
    <p class="lead"><${OutcomeMark} o=${run.outcome} /> <span class="muted">${kindWords(run)}</span></p>
    <${ErrorBox} error=${cancel.error ?? retry.error} /><${ErrorBox} error=${detail.error} isKept />
    <${Waterfall} run=${run} usual=${usual} />
    <div class="run-columns">
      ${run.error && html`<${Card} title="Error" actions=${html`<${CopyButton} text=${run.error} label="Copy the error" />`} cls="is-error"><${ErrorText} text=${run.error} /><//>`}
      <${Facts} run=${run} />
      ${run.input != null && html`<${Value} title="Input" text=${run.input} />`}
      ${run.result != null && html`<${Value} title="Result" text=${run.result} />`}
      <${Caused} runs=${run.callbacks} />
    </div>
    <${RunLog} job=${job} run=${number} level=${place.value.query["level"] ?? "all"} isOpen=${isOpen} />
  <//>`;
}

/** @param {Run} run */
function kindWords(run) {
  const kinds = /** @type {Record<string, string>} */ ({ scheduled: "by its schedule", manual: "on request", retry: "a retry on request", backfill: "a backfill", callback: "a callback" });
  const by = run.requested_by ? ` by ${String(run.requested_by).replace(/^user:/, "")}` : "";
  return `${kinds[run.kind] ?? run.kind}${by}`;
}

/** @param {{run: Run}} props */
function Facts({ run }) {
  /** @type {[string, any][]} */
  const facts = [
    ["Service", run.service ? html`<a href=${pageUrl(`/services/${encodeURIComponent(run.service)}`)}><bdi>${run.service}</bdi></a>` : null],
    ["Node", run.node_name || null],
    ["On behalf of", run.principal],
    ["Crashes", run.crashes || null],
    ["Next attempt", run.retry_at_iso && run.outcome === "running" ? html`<${Time} at=${run.retry_at_iso} relative />` : null],
    ["Correlation id", run.cid ? html`<code>${run.cid}</code> <${CopyButton} text=${run.cid} label="Copy the correlation id" />` : null],
  ];
  return html`<${Card} title="About"><dl class="facts">${facts.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([term, value]) =>
    html`<div key=${term}><dt>${term}</dt><dd>${value}</dd></div>`)}</dl><//>`;
}

/** @param {{title: string, text: string}} props */
function Value({ title, text }) {
  return html`<${Card} title=${title} actions=${html`<${CopyButton} text=${text} label=${`Copy the ${title.toLowerCase()}`} />`}><pre class="value" tabindex="0">${text === "" ? "(empty)" : pretty(text)}</pre><//>`;
}

/** The error with the service's own frames; those of libraries are folded. @param {{text: string}} props */
function ErrorText({ text }) {
  const { own, folded } = ownFrames(text);
  if (!folded) return html`<pre class="value" tabindex="0">${text}</pre>`;
  return html`<pre class="value" tabindex="0">${own}</pre><details class="pad"><summary>With ${some(folded, "frame")} of libraries</summary><pre class="value" tabindex="0">${text}</pre></details>`;
}

/** @param {{runs: any[] | undefined}} props */
function Caused({ runs }) {
  if (!runs?.length) return null;
  return html`<${Card} title="What it caused"><ul class="list">${runs.map((each) => html`<li key=${each.run_id}>
    <${OutcomeMark} o=${each.outcome} />${each.job_id ? html`<a href=${pageUrl(`/jobs/${each.job_id}/runs/${each.current_run}`)}><bdi>${each.job_name}</bdi>, run ${each.current_run}</a>` : html`<bdi>${each.service}</bdi>`}</li>`)}</ul><//>`;
}
