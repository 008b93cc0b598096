// The definition of a job, where it comes from, and the same as a command or code.

import { pageUrl } from "../core/base.js";
import { pretty } from "../core/exact.js";
import { Card, CopyAs, CopyButton } from "../core/ui.js";
import { definitionOf, fieldsOf, formOf } from "../lib/definition.js";
import { html } from "../vendor/vendor.js";
import { formsOf } from "./job_copy.js";

/** @typedef {Record<string, any>} Job */

const ORIGINS = /** @type {Record<string, string>} */ ({
  api: "Made on this page or by a program.",
  file: "Kept by config/jobs.yaml: a change here lasts until the file changes or the server starts.",
  declared: "Declared on the class of its service: a change here lasts until the service is deployed again.",
});

/** @param {{job: Job}} props */
export function JobDefinition({ job }) {
  const form = formOf(job), set = fieldsOf(job.job_type).filter(({ name }) => form[name] !== undefined && form[name] !== "" && !(name === "is_active" && form[name] === "true"));
  return html`<div class="two-columns">
    <${Card} title="Definition">
      <p class="pad muted small">${ORIGINS[job.origin] ?? ""} Version ${job.version}. It runs on behalf of <b>${String(job.principal ?? "").replace(/^user:/, "")}</b>.</p>
      <dl class="facts wide-terms">${set.filter(({ name }) => name !== "extra" && name !== "description" && name !== "tags").map((field) => html`<div key=${field.name + field.label}><dt>${field.label}</dt><dd class=${field.kind === "mono" ? "mono" : "isolate"}>${valueOf(field, form)}</dd></div>`)}</dl>
    <//>
    <div>
      ${job.extra && html`<${Card} title="Payload" actions=${html`<${CopyButton} text=${job.extra} label="Copy the payload" />`}><pre class="value" tabindex="0">${pretty(job.extra)}</pre><//>`}
      <${Card} title="As a command or code"><div class="pad">
        <${CopyAs} title="Create it" forms=${formsOf("zato.scheduler.job.create", definitionOf(form))} />
        <${CopyAs} title="Run it now" forms=${formsOf("zato.scheduler.job.execute", { id: job.id })} /></div><//>
    </div></div>`;
}

/**
 * @param {import("../lib/definition.js").FormField} field
 * @param {import("../lib/definition.js").Form} form
 */
function valueOf(field, form) {
  const value = form[field.name] ?? "";
  if (field.kind === "flag") return value === "true" ? "yes" : "no";
  if (field.kind === "choice") return field.options?.find(([key]) => key === value)?.[1] ?? value;
  if (field.kind === "service") return html`<a href=${pageUrl(`/services/${encodeURIComponent(value)}`)}>${value}</a>`;
  if (field.kind === "calendar") return html`<a href=${pageUrl(`/calendars/${encodeURIComponent(value)}`)}>${value}</a>`;
  return value;
}
