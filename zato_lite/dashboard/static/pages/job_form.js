// A job's form: one page for a new one and for an edit, with a preview at its side.

import { pageUrl } from "../core/base.js";
import { confirm } from "../core/dialog.js";
import { useKeys } from "../core/keys.js";
import { leaveGuard, navigate } from "../core/router.js";
import { denied, deniedSentence } from "../core/session.js";
import { OutcomeMark } from "../core/shapes.js";
import { Page } from "../core/shell.js";
import { useService } from "../core/store.js";
import { Time } from "../core/time.js";
import { Button, Empty, ErrorBox, Segments, Show } from "../core/ui.js";
import { some } from "../core/words.js";
import { emptyForm, formOf, JOB_TYPES, SECTIONS } from "../lib/definition.js";
import { html, useEffect, useLayoutEffect, useState } from "../vendor/vendor.js";
import { Conflict } from "./job_conflict.js";
import { FormField } from "./job_form_fields.js";
import { useJobForm } from "./job_form_state.js";
import { Preview } from "./job_preview.js";

/** @typedef {import("../lib/definition.js").Form} Form */
/** @typedef {ReturnType<typeof import("./job_form_state.js").useJobForm>} JobForm */

/** @param {{params: Record<string, string>, query: Record<string, string>}} props */
export default function JobFormPage({ params, query }) {
  const id = params["id"] ? Number(params["id"]) : null, from = query.from ? Number(query.from) : null;
  const source = id ?? from;
  const found = useService(source ? "zato.scheduler.job.get-by-id" : "", { id: source });
  const [opened, setOpened] = useState(/** @type {any} */ (null)); // a newer version does not change the form
  useEffect(() => { if (found.data && (!opened || opened.id !== found.data.id)) setOpened(found.data); }, [found.data]);
  const reason = denied(`zato.scheduler.job.${id ? "edit" : "create"}`);
  const title = id ? `Edit ${opened?.name ?? `job ${id}`}` : "New job";
  const crumbs = id ? [["/jobs", "Jobs"], [`/jobs/${id}`, opened?.name ?? `Job ${id}`]] : [["/jobs", "Jobs"]];
  if (reason) return html`<${Page} title=${title} crumbs=${crumbs}><${Empty} title=${`You may not ${id ? "edit" : "make"} jobs.`} actions=${html`<${Button} href=${pageUrl(id ? `/jobs/${id}` : "/jobs")}>Back<//>`}>${deniedSentence(`zato.scheduler.job.${id ? "edit" : "create"}`)}<//><//>`;
  if (source && !opened) return html`<${Page} title=${title} crumbs=${crumbs}><${Show} of=${found} rows=${10}>${() => null}<//><//>`;
  const start = opened ? formOf(opened) : { ...emptyForm(), ...preset(query) };
  if (!id && opened) start["name"] = `${start["name"]} (copy)`;
  return html`<${Page} title=${title} heading=${id ? "Edit" : "New job"} crumbs=${crumbs} cls="form-page"><${JobForm} key=${`${id} ${from}`} id=${id} start=${start} version=${opened?.version} /><//>`;
}

/**
 * Fields that a link sets, such as that of a service.
 *
 * @param {Record<string, string>} query
 * @returns {Form}
 */
function preset(query) {
  return Object.fromEntries(["name", "service", "extra"].filter((name) => query[name]).map((name) => [name, query[name] ?? ""]));
}

/** @param {{id: number | null, start: Form, version: number | undefined}} props */
function JobForm({ id, start, version }) {
  const form = useJobForm(id, start, version);
  const back = id ? `/jobs/${id}` : "/jobs";
  useLayoutEffect(() => {
    leaveGuard.value = form.isChanged ? () => confirm({ title: "Leave without saving?", text: "What you have written is lost.", yes: "Leave", no: "Stay", danger: true }) : null;
    return () => { leaveGuard.value = null; };
  }, [form.isChanged]);
  useKeys([
    { keys: "Ctrl-s", words: "Save", run: () => void form.save.run(false) },
    { keys: "Escape", words: "Back", run: () => void navigate(back, {}) },
  ]);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    void form.save.run(false);
  };
  return html`<form class="job-form" novalidate onSubmit=${submit}>
    <div class="card form-card">
      ${SECTIONS.map((section) => html`<${Section} key=${section.title} section=${section} form=${form} />`)}
      <${Conflict} form=${form} />
      <${ErrorBox} error=${form.saveError} />
      <${Actions} form=${form} isNew=${id === null} back=${back} />
    </div>
    <${Preview} form=${form} id=${id} />
  </form>`;
}

/** @param {{section: import("../lib/definition.js").Section, form: JobForm}} props */
function Section({ section, form }) {
  const [isWhole, setWhole] = useState(false);
  const type = form.values["job_type"] ?? "";
  const fields = section.fields.filter((field) => !field.types || field.types.includes(type));
  const isSeen = (/** @type {import("../lib/definition.js").FormField} */ field) => field.isUsual || isWhole || form.errors[field.name] || (!field.isQuiet && (form.start[field.name] ?? "") !== "" && field.name !== "is_active") || (field.name === "is_active" && form.start["is_active"] !== "true");
  const seen = fields.filter(isSeen), hidden = fields.length - seen.length;
  return html`<section><h2>${section.title}</h2>
    ${section.title === "When" && html`<div class="type-choice"><${Segments} label="Kind of schedule" options=${JOB_TYPES} value=${type} onChange=${(/** @type {string} */ value) => form.set("job_type", value)} />${form.errors["job_type"] && html`<span class="field-error">${form.errors["job_type"]}</span>`}</div>`}
    <div class="fields">${seen.map((field) => html`<${FormField} key=${field.name + field.label} field=${field} form=${form} />`)}</div>
    ${hidden > 0 && html`<button type="button" class="link small more-fields" onClick=${() => setWhole(true)}>${seen.length ? `${some(hidden, "more field")}: ` : ""}${fields.filter((field) => !isSeen(field)).map((field) => field.label.toLowerCase()).slice(0, 4).join(", ")}${hidden > 4 ? " …" : ""}</button>`}
  </section>`;
}

/** @param {{form: JobForm, isNew: boolean, back: string}} props */
function Actions({ form, isNew, back }) {
  const wrong = Object.keys(form.errors).length + (form.wrongElsewhere ? 1 : 0);
  const changes = Object.keys(form.payload).length;
  const reason = wrong ? `${some(wrong, "field")} to mend` : !isNew && !form.isChanged ? "nothing is changed" : "";
  const words = isNew ? "Create job" : changes === 1 ? "Save 1 change" : `Save ${changes || ""} changes`.replace("  ", " ");
  const [slot] = form.check.slots;
  return html`<div class="form-actions">${slot && html`<p class="next-line small">next: <b><${Time} at=${slot.slot} zone=${form.values["timezone"]} /></b></p>`}
    <${Button} kind="primary" type="submit" busy=${form.save.isBusy} denied=${reason} onClick=${(/** @type {Event} */ event) => { event.preventDefault(); void form.save.run(false); }}>${words}<//>
    <${Button} busy=${form.save.isBusy} denied=${reason || denied("zato.scheduler.job.execute")} onClick=${() => form.save.run(true)}>${isNew ? "Create and run" : "Save and run"}<//>
    <${Button} kind="quiet" href=${pageUrl(back)}>Back<//>
    <span class="small" role="status">${wrong ? html`<${OutcomeMark} o="error" words=${`${some(wrong, "field")} to mend`} />` : form.isChecking ? html`<span class="muted">Checking …</span>` : null}</span>
    <span class="grow"></span>${!wrong && html`<span class="small muted form-keys"><kbd>Ctrl</kbd> <kbd>S</kbd> save · <kbd>Esc</kbd> back</span>`}</div>`;
}

