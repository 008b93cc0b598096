// Collisions: many jobs at one instant of each hour or day, with a proposal that spreads them.
import { html, useState } from "../vendor/vendor.js";
import { ApiError, invoke } from "../core/api.js";
import { pageUrl } from "../core/base.js";
import { confirm, toast } from "../core/dialog.js";
import { denied } from "../core/session.js";
import { Shape } from "../core/shapes.js";
import { Button, Card, Empty } from "../core/ui.js";
import { count, duration, some } from "../core/words.js";

const FIRST = 4;

/** @param {{data: any, reload: () => Promise<void>}} props */
export function Collisions({ data, reload }) {
  const [isAll, setAll] = useState(false), shown = isAll ? data.collisions : data.collisions.slice(0, FIRST), rest = data.collisions.length - shown.length;
  const more = rest > 0 ? html`<${Button} small onClick=${() => setAll(true)}>Show ${rest} more<//>` : null;
  return html`<${Card} title="Collisions" actions=${more}>${data.collisions.length === 0 ? html`<${Empty} title="None.">Jobs that all start at the same instant, such as the full hour, appear here.<//>` : html`<ul class="list">${shown.map((/** @type {any} */ item) => html`<${Collision} key=${item.at} item=${item} reload=${reload} />`)}</ul>`}<//>`;
}

/** @param {{item: any, reload: () => Promise<void>}} props */
function Collision({ item, reload }) {
  const [isOpen, setOpen] = useState(false), [done, setDone] = useState(-1), [problems, setProblems] = useState(/** @type {string[]} */ ([]));
  const { proposal } = item, isBusy = done >= 0 && done < proposal.length;
  const spread = async () => {
    const isSure = await confirm({ title: `Spread ${some(proposal.length, "job")}?`, yes: `Change ${some(proposal.length, "job")}`, text: html`<p>Their schedules are changed as shown; each can be edited back.</p><${Proposal} items=${proposal} />` });
    if (!isSure) return;
    /** @type {string[]} */
    const wrong = [];
    for (const [i, change] of proposal.entries()) {
      setDone(i);
      try {
        await invoke("zato.scheduler.job.edit", { id: change.job_id, [change.field]: change.to });
      } catch (error) {
        wrong.push(`${change.job_name}: ${error instanceof ApiError ? error.message : error}`);
      }
    }
    setDone(-1);
    setProblems(wrong);
    toast(`${some(proposal.length - wrong.length, "job")} changed.`);
    await reload();
  };
  return html`<li><${Shape} o="late" words="collision" /><div class="grow"><b>${item.at}</b><p>${some(item.count, "job starts", "jobs start")} together</p>
    <p class="tiny muted isolate">${item.jobs.slice(0, 8).map((/** @type {any} */ job, /** @type {number} */ i) => html`${i ? ", " : ""}<a key=${job.id} href=${pageUrl(`/jobs/${job.id}`)}>${job.name}</a>`)}${item.count > 8 ? ` and ${count(item.count - 8)} more` : ""}</p>
    ${isOpen ? html`<${Proposal} items=${proposal} />` : null}${problems.map((text) => html`<p key=${text} class="field-error" role="alert">${text}</p>`)}</div>
    ${proposal.length ? html`<span class="row acts"><${Button} small kind="quiet" onClick=${() => setOpen(!isOpen)} attrs=${{ "aria-expanded": String(isOpen) }}>${isOpen ? "Hide" : "How"}<//><${Button} small busy=${isBusy} denied=${denied("zato.scheduler.job.edit")} onClick=${spread}>${isBusy ? `${done + 1} of ${proposal.length}` : "Spread them …"}<//></span>` : null}</li>`;
}

/** @param {{items: any[]}} props */
function Proposal({ items }) {
  const shown = (/** @type {any} */ change, /** @type {any} */ value) => (change.field.endsWith("_ms") && value !== null ? `jitter ${duration(Number(value))}` : value ?? "none");
  return html`<div class="mark-table" tabindex="0" role="group" aria-label="Proposed changes"><table class="plain-table"><thead><tr><th scope="col">Job</th><th scope="col">From</th><th scope="col">To</th></tr></thead><tbody>${items.map((change) => html`<tr key=${change.job_id}><td class="isolate">${change.job_name}</td><td><code>${shown(change, change.from)}</code></td><td><code>${shown(change, change.to)}</code></td></tr>`)}</tbody></table></div>`;
}
