// Nodes: the processes that run jobs, the scheduler as a whole, and the store.

import { invoke } from "../core/api.js";
import { confirm, Dialog, toast } from "../core/dialog.js";
import { setCount } from "../core/counts.js";
import { denied, deniedSentence } from "../core/session.js";
import { OutcomeMark } from "../core/shapes.js";
import { Page } from "../core/shell.js";
import { useAction, useService } from "../core/store.js";
import { instant, now, Time } from "../core/time.js";
import { Button, Card, Empty, ErrorBox, Show } from "../core/ui.js";
import { count, duration, size, some } from "../core/words.js";
import { isChange } from "../lib/changes.js";
import { TextField } from "../lib/field.js";
import { isSilent } from "../lib/nodes.js";
import { html, useEffect, useState } from "../vendor/vendor.js";

/** @typedef {Record<string, any>} Status */

const SERVICE = "zato.scheduler.status";

export default function NodesPage() {
  const reason = denied(SERVICE);
  const status = useService(reason ? "" : SERVICE, {}, { every: 2, on: ["node", "change"], relevant: isChange });
  const nodes = /** @type {any[]} */ (status.data?.nodes ?? []);
  useEffect(() => { if (status.data) setCount("nodes", nodes.length); }, [nodes.length]);
  if (reason) return html`<${Page} title="Nodes"><${Empty} title="You may not see the nodes.">${deniedSentence(SERVICE)}<//><//>`;
  return html`<${Page} title="Nodes">
    <${Show} of=${status} rows=${8}>${(/** @type {Status} */ data) => html`
      <${Whole} status=${data} reload=${status.reload} />
      ${data.clock_warning && html`<p class="note-box"><${OutcomeMark} o="late" words=${data.clock_warning} /></p>`}
      <div class="node-cards">${nodes.map((node) => html`<${NodeCard} key=${node.id} node=${node} at=${instant(data.now) ?? 0} />`)}</div>`}<//>
    <${Store} />
  <//>`;
}

/** @param {{status: Status, reload: () => Promise<void>}} props */
function Whole({ status, reload }) {
  const [isPausing, setPausing] = useState(false);
  const act = useAction(async (/** @type {string} */ service, /** @type {Record<string, unknown>} */ input, /** @type {string} */ done) => {
    await invoke(service, input);
    toast(done);
    await reload();
  });
  const heldUp = status.clock_warning ? html`<${Button} denied=${denied("zato.scheduler.continue")} busy=${act.isBusy} onClick=${() => act.run("zato.scheduler.continue", {}, "Jobs that the clock held up start again.")}>Continue jobs<//>` : null;
  return html`<${Card} title="The scheduler" actions=${html`${heldUp}${status.is_paused
      ? html`<${Button} kind="primary" denied=${denied("zato.scheduler.resume")} busy=${act.isBusy} onClick=${() => act.run("zato.scheduler.resume", {}, "The scheduler runs again.")}>Resume all<//>`
      : html`<${Button} denied=${denied("zato.scheduler.pause")} onClick=${() => setPausing(true)}>Pause all …<//>`}`}>
    <${ErrorBox} error=${act.error} />
    ${status.is_paused && html`<p class="note-box in-card"><${OutcomeMark} o="paused" words=${`Paused by ${status.paused_by || "somebody"}`} /> <${Time} at=${status.paused_since} relative />${status.pause_note && html`<span class="isolate">: “${status.pause_note}”</span>`}</p>`}
    <dl class="figures">
      <${Figure} words="jobs" value=${count(status.jobs?.all ?? status.total_jobs)} note=${`${count(status.jobs?.active ?? status.active_jobs)} active`} />
      <${Figure} words="runs in flight" value=${count(status.in_flight)} note=${status.queued ? `${count(status.queued)} queued` : "none queued"} />
      <${Figure} words="half start within" value=${duration(status.lateness_p50_ms)} note="of their slot" />
      <${Figure} words="99 % start within" value=${duration(status.lateness_p99_ms)} note="of their slot" />
      <${Figure} words="next slot" value=${status.next_fire_iso ? html`<${Time} at=${status.next_fire_iso} relative due />` : "–"} note=${status.next_fire_iso ? html`<${Time} at=${status.next_fire_iso} />` : "nothing is due"} />
    </dl>
    ${isPausing && html`<${PauseAll} onClose=${() => setPausing(false)} onDone=${async () => { setPausing(false); await reload(); }} />`}<//>`;
}

/** @param {{words: string, value: any, note: any}} props */
function Figure({ words, value, note }) {
  return html`<div><dt>${words}</dt><dd><b class="num">${value}</b><small class="muted">${note}</small></dd></div>`;
}

/** @param {{onClose: () => void, onDone: () => Promise<void>}} props */
function PauseAll({ onClose, onDone }) {
  const [note, setNote] = useState("");
  const save = useAction(async () => {
    await invoke("zato.scheduler.pause", { note });
    toast("The scheduler is paused.");
    await onDone();
  });
  return html`<${Dialog} title="Pause all jobs?" onClose=${onClose} onSubmit=${save.run} actions=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} kind="danger" type="submit" busy=${save.isBusy} onClick=${save.run}>Pause all jobs<//>`}>
    <p class="muted">No slot of any job gets a run until it is resumed. Runs in flight end as usual; runs by hand are still possible.</p>
    <${TextField} id="pause-all-note" label="Note" hint="Why: others see it" value=${note} onInput=${setNote} autofocus /><${ErrorBox} error=${save.error} /><//>`;
}

/** @param {{node: any, at: number}} props */
function NodeCard({ node, at }) {
  /** @type {[string, any][]} */
  const facts = [
    ["Heard of", html`<${Time} at=${node.seen} relative />`], ["Running since", html`<${Time} at=${node.started} relative />`],
    ["In flight", node.in_flight === undefined || node.in_flight === null ? null : html`<b class="num">${count(node.in_flight)}</b>${node.capacity ? ` of ${count(node.capacity)}` : ""}`],
    ["Claims a second", node.claims_per_s == null ? null : node.claims_per_s.toFixed(1)], ["Loop waits up to", node.lag_ms == null ? null : duration(node.lag_ms)],
    ["Version", node.version || null], ["Process", node.pid],
  ];
  void now.value;
  return html`<${Card} title=${html`<${OutcomeMark} o=${isSilent(node, at) ? "lost" : "ok"} words=${html`<bdi>${node.name}</bdi>`} />`} actions=${html`<span class="small muted">node ${node.id}</span>`}><dl class="facts">${facts.filter(([, value]) => value !== null).map(([term, value]) => html`<div key=${term}><dt>${term}</dt><dd>${value}</dd></div>`)}</dl><//>`;
}

function Store() {
  const [checked, setChecked] = useState(/** @type {any} */ (null)), [copy, setCopy] = useState(/** @type {any} */ (null));
  const check = useAction(async (/** @type {boolean} */ isFull) => setChecked(await invoke("zato.store.check", { is_full: isFull })));
  const back = useAction(async () => {
    if (!(await confirm({ title: "Copy the store?", text: "A copy is written beside it while the server goes on.", yes: "Copy it" }))) return;
    setCopy(await invoke("zato.store.backup"));
  });
  const noCheck = denied("zato.store.check");
  return html`<${Card} title="The store" actions=${html`<${Button} small denied=${noCheck} busy=${check.isBusy} onClick=${() => check.run(false)}>Check<//><${Button} small denied=${noCheck} busy=${check.isBusy} onClick=${() => check.run(true)}>Check all indexes<//><${Button} small denied=${denied("zato.store.backup")} busy=${back.isBusy} onClick=${back.run}>Back up …<//>`}>
    <${ErrorBox} error=${check.error ?? back.error} />
    <div class="pad" role="status">${checked ? html`<p><${OutcomeMark} o=${checked.is_ok ? "ok" : "error"} words=${checked.is_ok ? "No problem found" : some(checked.problems.length, "problem")} /> <span class="muted">in ${duration(checked.duration_ms)}${checked.is_full ? ", indexes included" : ""}</span></p>${checked.problems.map((/** @type {string} */ text) => html`<p key=${text} class="o-error isolate">${text}</p>`)}` : copy ? null : html`<p class="muted">Check its file, or copy it while the server runs.</p>`}
      ${copy && html`<p><${OutcomeMark} o="ok" words="Copied" /> to <code class="isolate">${copy.path}</code>, ${size(copy.size)}</p>`}</div><//>`;
}
