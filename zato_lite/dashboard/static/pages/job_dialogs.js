// The dialog that pauses a job, with its note and its end.

import { invoke } from "../core/api.js";
import { Dialog, toast } from "../core/dialog.js";
import { useAction } from "../core/store.js";
import { Button, ErrorBox, Segments } from "../core/ui.js";
import { messagesOf, TextField } from "../lib/field.js";
import { html, useState } from "../vendor/vendor.js";

/** @typedef {Record<string, any>} Job */
/** @typedef {{job: Job, onClose: () => void, onDone: () => void}} DialogProps */

/** Ends of a pause: key, words, milliseconds from now. @type {[string, string, number][]} */
const ENDS = [["", "Until resumed", 0], ["1h", "1 hour", 3_600_000], ["8h", "8 hours", 28_800_000], ["1d", "1 day", 86_400_000], ["date", "Until …", 0]];

/** @param {DialogProps} props */
export function PauseDialog({ job, onClose, onDone }) {
  const [pause, setPause] = useState({ note: "", until: "" });
  const save = useAction(async () => {
    await invoke("zato.scheduler.job.pause", { id: job.id, ...inputOf(pause) });
    toast(`${job.name} is paused.`);
    onDone();
  });
  return html`<${Dialog} title=${html`Pause <bdi>${job.name}</bdi>`} onClose=${onClose} onSubmit=${save.run} actions=${html`
    <${Button} onClick=${onClose}>Cancel<//><${Button} kind="primary" type="submit" busy=${save.isBusy} onClick=${save.run}>Pause<//>`}>
    <p class="muted">No slot gets a run while it is paused. Runs in flight end as usual, and you can still run it by hand.</p>
    <${PauseFields} value=${pause} onInput=${setPause} errors=${messagesOf(save.error)} />
    <${ErrorBox} error=${save.error?.errors.length ? null : save.error} /><//>`;
}

/**
 * The note and the end of a pause.
 *
 * @param {{value: {note: string, until: string}, onInput: (value: {note: string, until: string}) => void, errors: Record<string, string>}} props
 */
export function PauseFields({ value, onInput, errors }) {
  const [end, setEnd] = useState("");
  const choose = (/** @type {string} */ key) => {
    setEnd(key);
    const ms = ENDS.find(([name]) => name === key)?.[2] ?? 0;
    onInput({ ...value, until: ms ? new Date(Date.now() + ms).toISOString() : "" });
  };
  return html`<${TextField} id="pause-note" label="Note" hint="Why: others see it beside the job" value=${value.note} onInput=${(/** @type {string} */ note) => onInput({ ...value, note })} error=${errors["note"]} autofocus />
    <div class="field"><span class="label">Ends</span><div><${Segments} label="Ends" options=${ENDS.map(([key, words]) => [key, words])} value=${end} onChange=${choose} /></div></div>
    ${end === "date" && html`<${TextField} id="pause-until" label="Until" type="datetime-local" hint="In the time zone of this browser" value=${localOf(value.until)} error=${errors["until"]}
      onInput=${(/** @type {string} */ local) => onInput({ ...value, until: local ? new Date(local).toISOString() : "" })} />`}`;
}

/**
 * @param {{note: string, until: string}} pause
 * @returns {Record<string, string>}
 */
export function inputOf({ note, until }) {
  return { ...(note && { note }), ...(until && { until }) };
}

/** @param {string} iso */
function localOf(iso) {
  if (!iso) return "";
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
