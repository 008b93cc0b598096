// The job was changed while its form was open: both versions side by side.

import { stringify } from "../core/exact.js";
import { Button } from "../core/ui.js";
import { fieldsOf } from "../lib/definition.js";
import { html } from "../vendor/vendor.js";

/** @param {{form: import("./job_form.js").JobForm}} props */
export function Conflict({ form }) {
  const { theirs, payload } = form;
  if (!theirs) return null;
  const names = [...new Set([...Object.keys(theirs.by), ...Object.keys(payload)])];
  const labels = Object.fromEntries(fieldsOf(form.values["job_type"] ?? "").map(({ name, label }) => [name, label]));
  return html`<div class="conflict" role="alert" tabindex="-1"><h3>Somebody else has saved this job meanwhile.</h3>
    <p>It has version ${theirs.version} now. Nothing of yours is lost; choose what to do with it.</p>
    <div class="plain-box"><table class="plain"><thead><tr><th scope="col">Field</th><th scope="col">It was</th><th scope="col">They saved</th><th scope="col">You wrote</th></tr></thead>
      <tbody>${names.map((name) => html`<tr key=${name} class=${name in theirs.by && name in payload ? "both" : ""}><th scope="row">${labels[name] ?? name}</th><td class="isolate">${shown(form.start[name])}</td>
        <td class="isolate">${name in theirs.by ? shown(theirs.by[name]) : ""}</td><td class="isolate">${name in payload ? shown(payload[name]) : ""}</td></tr>`)}</tbody></table></div>
    <div class="row"><${Button} kind="primary" onClick=${form.keepMine}>Put mine on top of theirs<//><${Button} onClick=${form.takeTheirs}>Take theirs<//></div></div>`;
}

/** @param {unknown} value */
function shown(value) {
  if (value === null || value === undefined || value === "") return "–";
  return typeof value === "string" ? value : stringify(value);
}
