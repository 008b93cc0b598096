// Backfill: the count first, then the runs.

import { invoke } from "../core/api.js";
import { Dialog, toast } from "../core/dialog.js";
import { useAction } from "../core/store.js";
import { MINE, Time, zoneName } from "../core/time.js";
import { Button, ErrorBox } from "../core/ui.js";
import { count, some } from "../core/words.js";
import { messagesOf, TextField } from "../lib/field.js";
import { html, useEffect, useState } from "../vendor/vendor.js";

const SERVICE = "zato.scheduler.job.backfill";
const SETTLE_MS = 250;

/** @param {{job: Record<string, any>, onClose: () => void, onDone: () => void, first?: string, last?: string}} props */
export function BackfillDialog({ job, onClose, onDone, first = "", last = "" }) {
  const zone = job.timezone || "UTC";
  const [range, setRange] = useState({ first, last, force: false });
  const [found, setFound] = useState(/** @type {any} */ (null));
  const counting = useAction(async () => setFound(await invoke(SERVICE, { id: job.id, ...range, dry_run: true })));
  const isWhole = range.first !== "" && range.last !== "";
  useEffect(() => {
    setFound(null);
    if (!isWhole) return undefined;
    const timer = setTimeout(() => void counting.run(), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [range]);
  const start = useAction(async () => {
    const { runs } = await invoke(SERVICE, { id: job.id, ...range });
    toast(`${some(runs.length, "run")} of ${job.name} will start, one after another.`);
    onDone();
  });
  const error = start.error ?? counting.error, errors = messagesOf(error);
  const change = (/** @type {Record<string, unknown>} */ part) => setRange({ ...range, ...part });
  const reason = !isWhole ? "say from when to when" : !found ? "the slots are being counted" : found.count === 0 ? "there is no slot in this range" : "";
  return html`<${Dialog} title=${html`Backfill <bdi>${job.name}</bdi>`} onClose=${onClose} onSubmit=${() => !reason && start.run()} actions=${html`
    <${Button} onClick=${onClose}>Cancel<//><${Button} kind="primary" type="submit" busy=${start.isBusy} denied=${reason} onClick=${start.run}>${found?.count ? `Start ${some(found.count, "run")}` : "Start"}<//>`}>
    <p class="muted">Each slot of the range gets a run, one after another. Both ends are included. Times are in ${zoneName(zone)}${zone === MINE ? "" : ", the zone of the job"}.</p>
    <div class="fields">
      <${TextField} id="backfill-first" cls="half" label="From" type="datetime-local" value=${range.first} error=${errors["first"]} onInput=${(/** @type {string} */ text) => change({ first: text })} attrs=${{ step: 1 }} autofocus />
      <${TextField} id="backfill-last" cls="half" label="To" type="datetime-local" value=${range.last} error=${errors["last"]} onInput=${(/** @type {string} */ text) => change({ last: text })} attrs=${{ step: 1 }} />
    </div>
    <label class="check"><input type="checkbox" checked=${range.force} onChange=${(/** @type {any} */ event) => change({ force: event.target.checked })} /> Also slots before the job's start and after its end</label>
    <div class="backfill-count" role="status" aria-live="polite">${found && html`<p><b class="num">${count(found.count)}</b> ${found.count === 1 ? "slot gets a run" : "slots get a run"}${
      found.count > 0 ? html`, from <${Time} at=${found.first_iso} zone=${job.timezone} withZone /> to <${Time} at=${found.last_iso} zone=${job.timezone} />` : ""}.</p>${found.reason && html`<p class="muted small">${found.reason}</p>`}`}</div>
    <${ErrorBox} error=${Object.keys(errors).length ? null : error} /><//>`;
}
