// Jobs to and from files: those of this server, and those of other schedulers.

import { invoke } from "../core/api.js";
import { Dialog, Menu, toast } from "../core/dialog.js";
import { place, setQuery } from "../core/router.js";
import { denied } from "../core/session.js";
import { useAction } from "../core/store.js";
import { Button, ErrorBox } from "../core/ui.js";
import { some } from "../core/words.js";
import { ChoiceField, TextField } from "../lib/field.js";
import { html, useState } from "../vendor/vendor.js";

/** @typedef {{created: string[], changed: string[], left: string[], problems: [string, string][], notes: [string, string][]}} Outcome */

const APPLY = "zato.scheduler.job.apply";
const IMPORT = "zato.scheduler.job.import";
const EXPORT = "zato.scheduler.job.export";
/** Formats: key, words, and whether entries need a service to run. @type {[string, string, boolean][]} */
const FORMATS = [
  ["", "zato-lite or Zato (enmasse)", false], ["crontab", "crontab", true], ["systemd", "systemd timers", true], ["kubernetes", "Kubernetes CronJobs", true],
  ["quartz", "Quartz", false], ["celery", "Celery beat", false], ["apscheduler", "APScheduler", false],
];

/** @param {{onDone: () => Promise<void>}} props */
export function TransferButtons({ onDone }) {
  const isOpen = "import" in place.value.query && !denied(APPLY); // the overview of a new server leads here
  const setOpen = (/** @type {boolean} */ isWanted) => setQuery({ import: isWanted ? 1 : null });
  const save = async () => {
    try {
      const { document: text } = await invoke(EXPORT);
      download("jobs.yaml", text);
    } catch (error) {
      toast(`Exporting failed: ${error instanceof Error ? error.message : error}`);
    }
  };
  return html`<${Menu} kind="" label="Import and export" items=${[
    { words: "Import …", denied: denied(APPLY), run: () => setOpen(true) },
    { words: "Export all jobs", denied: denied(EXPORT), run: () => void save() },
  ]} />${isOpen && html`<${ImportDialog} onClose=${() => setOpen(false)} onDone=${onDone} />`}`;
}

/** @param {{onClose: () => void, onDone: () => Promise<void>}} props */
function ImportDialog({ onClose, onDone }) {
  const [form, setForm] = useState({ format: "", document: "", service: "", timezone: "" });
  const [found, setFound] = useState(/** @type {Outcome | null} */ (null));
  const needsService = FORMATS.find(([key]) => key === form.format)?.[2] ?? false;
  const change = (/** @type {Partial<typeof form>} */ part) => {
    setForm({ ...form, ...part });
    setFound(null);
  };
  const check = useAction(async () => setFound(await transfer(form, true)));
  const save = useAction(async () => {
    const done = await transfer(form, false);
    toast(`${some(done.created.length, "job")} created, ${done.changed.length} changed.`);
    onClose();
    await onDone();
  });
  const open = async (/** @type {any} */ event) => {
    const file = event.target.files?.[0];
    if (file) change({ document: await file.text() });
  };
  const isReady = found !== null && found.created.length + found.changed.length > 0 && (form.format !== "" || !found.problems.length);
  return html`<${Dialog} title="Import jobs" wide onClose=${onClose} actions=${html`
    <${Button} onClick=${onClose}>Cancel<//>
    <${Button} busy=${check.isBusy} denied=${form.document ? "" : "choose a file or paste its text"} onClick=${check.run}>See what it would do<//>
    <${Button} kind="primary" busy=${save.isBusy} denied=${isReady ? "" : "see first what it would do"} onClick=${save.run}>${found ? `Create ${found.created.length}, change ${found.changed.length}` : "Import"}<//>`}>
    <div class="fields">
      <${ChoiceField} id="import-format" cls="half" label="Format" value=${form.format} options=${FORMATS.map(([key, words]) => [key, words])} onInput=${(/** @type {string} */ format) => change({ format })} />
      <div class="field half"><label for="import-file">File</label><input id="import-file" type="file" onChange=${open} /></div>
      ${form.format && html`<${TextField} id="import-service" cls="half" label="Service" value=${form.service} onInput=${(/** @type {string} */ service) => change({ service })} hint=${needsService ? "runs each entry" : "of entries without one"} />
        <${TextField} id="import-zone" cls="half" label="Time zone" value=${form.timezone} onInput=${(/** @type {string} */ timezone) => change({ timezone })} hint="of entries that name none" />`}
      <${TextField} id="import-text" label="Text" rows=${10} value=${form.document} onInput=${(/** @type {string} */ text) => change({ document: text })} />
    </div>
    <${ErrorBox} error=${save.error ?? check.error} />
    ${found && html`<${Outcomes} found=${found} />`}<//>`;
}

/** @param {{found: Outcome}} props */
function Outcomes({ found }) {
  const lists = /** @type {[string, string[]][]} */ ([["created", found.created], ["changed", found.changed], ["unchanged", found.left]]);
  return html`<div role="status" class="import-result">
    <p>${lists.map(([words, names]) => `${names.length} ${words}`).join(", ")}${found.problems.length ? `, ${some(found.problems.length, "entry has a mistake", "entries have mistakes")}` : ""}.</p>
    ${found.problems.map(([place, text]) => html`<p key=${place + text} class="field-error"><b class="isolate">${place}</b> <span class="isolate">${text}</span></p>`)}
    ${found.notes.map(([place, text]) => html`<p key=${place + text} class="small muted"><b class="isolate">${place}</b> <span class="isolate">${text}</span></p>`)}</div>`;
}

/**
 * @param {{format: string, document: string, service: string, timezone: string}} form
 * @param {boolean} isDry
 * @returns {Promise<Outcome>}
 */
async function transfer({ format, document: text, service, timezone }, isDry) {
  if (format === "") {
    const answer = await invoke(APPLY, { document: text, dry_run: isDry });
    return { created: answer.created, changed: answer.updated.map((/** @type {any} */ each) => each.name), left: answer.unchanged, problems: [], notes: answer.differences.map((/** @type {string} */ words) => ["Without effect:", words]) };
  }
  const answer = await invoke(IMPORT, { format, document: text, dry_run: isDry, ...(service && { service }), ...(timezone && { timezone }) });
  const good = answer.entries.filter((/** @type {any} */ entry) => !entry.errors.length);
  return {
    created: good.map((/** @type {any} */ entry) => entry.definition?.name ?? entry.place), changed: [], left: [],
    problems: answer.entries.flatMap((/** @type {any} */ entry) => entry.errors.map((/** @type {string} */ words) => [entry.place, words])),
    notes: answer.entries.flatMap((/** @type {any} */ entry) => entry.differences.map((/** @type {string} */ words) => [entry.place, words])),
  };
}

/**
 * Have the browser save a text.
 *
 * @param {string} name
 * @param {string} text
 */
function download(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
