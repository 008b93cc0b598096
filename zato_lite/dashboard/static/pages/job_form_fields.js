// The fields of a job's form.

import { invoke } from "../core/api.js";
import { may } from "../core/session.js";
import { useService } from "../core/store.js";
import { format, MINE, now, zoneName } from "../core/time.js";
import { OutcomeMark } from "../core/shapes.js";
import { Completing } from "../lib/complete.js";
import { ChoiceField, describedBy, Field, TextField } from "../lib/field.js";
import { jsonError } from "../lib/schema.js";
import { pretty } from "../core/exact.js";
import { html } from "../vendor/vendor.js";

/** @typedef {import("./job_form.js").JobForm} JobForm */
/** @typedef {import("../lib/definition.js").FormField} Defined */

const SPANS = /** @type {Record<number, string>} */ ({ 2: "third", 3: "half", 6: "" });
const ROWS = 5;

/** @param {{field: Defined, form: JobForm}} props */
export function FormField({ field, form }) {
  const id = `f-${field.name}`, value = form.values[field.name] ?? "", error = form.errors[field.name];
  const set = (/** @type {string} */ text) => form.set(field.name, text);
  const common = { id, label: field.label, value, error, hint: field.hint, cls: SPANS[field.span ?? 6], onInput: set };
  const leave = () => form.touch(field.name);
  if (field.kind === "choice") return html`<${ChoiceField} ...${common} value=${value || field.options?.[0]?.[0]} options=${field.options} />`;
  if (field.kind === "flag") return html`<div class=${`field ${common.cls}`}><span class="label" id=${`${id}-label`}>${field.label}</span><label class="check"><input type="checkbox" id=${id} aria-labelledby=${`${id}-label`} checked=${value === "true"} onChange=${(/** @type {any} */ event) => set(event.target.checked ? "true" : "")} /> ${value === "true" ? "yes" : "no"}</label></div>`;
  return html`<div class=${common.cls} onFocusOut=${leave}>${controlOf(field, form, { ...common, cls: "" })}</div>`;
}

/**
 * @param {Defined} field
 * @param {JobForm} form
 * @param {any} common
 */
function controlOf(field, form, common) {
  switch (field.kind) {
    case "payload": return html`<${Payload} form=${form} common=${common} />`;
    case "long": return html`<${TextField} ...${common} rows=${3} />`;
    case "service": return html`<${ServiceField} common=${common} isMain=${field.name === "service"} />`;
    case "zone": return html`<${ZoneField} common=${common} />`;
    case "calendar": return html`<${CalendarField} common=${common} />`;
    case "job": return html`<${NamedField} common=${common} complete=${jobNames} />`;
    case "mono": return html`<${TextField} ...${common} mono />`;
    default: return html`<${TextField} ...${common} attrs=${field.kind === "number" ? { inputmode: "decimal" } : {}} />`;
  }
}

/** A text with completions. @param {{common: any, complete: (text: string) => Promise<string[]> | string[], hint?: any}} props */
function NamedField({ common, complete, hint }) {
  const { id, label, value, error, onInput } = common, shown = hint ?? common.hint;
  return html`<${Field} id=${id} label=${label} hint=${shown} error=${error}><${Completing} id=${id} value=${value} onInput=${onInput} isWrong=${Boolean(error)} describedBy=${describedBy(id, shown, error)}
    complete=${async (/** @type {string} */ text) => ({ start: 0, options: (await complete(text)).filter((option) => option !== text) })} /><//>`;
}

/** @param {{common: any, isMain: boolean}} props */
function ServiceField({ common, isMain }) {
  const deployed = useService(isMain ? "zato.service.get-list" : "", {});
  const isKnown = /** @type {any[]} */ (deployed.data ?? []).some((each) => each.name === common.value);
  const known = useService(isKnown ? "zato.service.get-by-name" : "", { name: common.value, has_jobs: false });
  const description = known.data?.name === common.value ? known.data.description : "";
  return html`<${NamedField} common=${common} complete=${serviceNames} hint=${description ? html`<span class="isolate">${description}</span>` : undefined} />`;
}

/** @param {{common: any}} props */
function ZoneField({ common }) {
  const zone = common.value || "UTC";
  let hint = "such as Europe/Warsaw";
  try {
    hint = `${format(now.value, zone, { hour: "2-digit", minute: "2-digit" })} there now${zone === MINE ? " · yours" : ""}`;
    new Intl.DateTimeFormat("en", { timeZone: zone });
  } catch {
    hint = "such as Europe/Warsaw";
  }
  return html`<${NamedField} common=${common} complete=${zoneNames} hint=${common.value ? hint : `UTC unless set; yours is ${zoneName(MINE)}`} />`;
}

/** @param {{common: any}} props */
function CalendarField({ common }) {
  const calendars = useService("zato.scheduler.calendar.get-list", {});
  const names = /** @type {any[]} */ (calendars.data ?? []).map((each) => each.name);
  const options = [["", "none"], ...new Set([...names, ...(common.value ? [common.value] : [])])].map((each) => (Array.isArray(each) ? each : [each, `calendar ${each}`]));
  return html`<${ChoiceField} ...${common} options=${options} hint=${calendars.error ? calendars.error.message : common.hint} />`;
}

/** @param {{form: JobForm, common: any}} props */
function Payload({ form, common }) {
  const text = common.value, isJson = text.trim() !== "" && !jsonError(text);
  const fits = !common.error && text !== "" && form.check.answer?.is_valid && !form.isChecking;
  const service = useService(fits ? "zato.service.get-by-name" : "", { name: form.values["service"] ?? "", has_jobs: false });
  const isTyped = fits && Object.keys(service.data?.input_schema ?? {}).length > 0;
  return html`<${TextField} ...${common} label=${html`${common.label} <span class="hint">${common.hint}</span>`} hint=${html`<span class="row">${
    isTyped ? html`<${OutcomeMark} o="ok" words=${`fits what ${form.values["service"]} takes`} />` : text ? (isJson ? "JSON" : /^\s*[[{]/.test(text) ? "text, which is not valid JSON" : "text") : "empty"}${
    isJson && /** @type {string} */ (pretty(text)) !== text ? html`<button type="button" class="link" onClick=${() => common.onInput(pretty(text))}>Format</button>` : null}</span>`} rows=${Math.min(14, Math.max(ROWS - 2, text.split("\n").length + 1))} />`;
}

/** @param {string} text */
async function serviceNames(text) {
  const found = await invoke("zato.service.get-list", { query: text });
  return /** @type {any[]} */ (found).map((each) => each.name).sort((a, b) => Number(b.startsWith(text)) - Number(a.startsWith(text))).slice(0, 12);
}

/** @param {string} text */
async function jobNames(text) {
  const found = await invoke("zato.scheduler.job.get-list", { query: text, paginate: true, page_size: 12 });
  return /** @type {any[]} */ (found).map((each) => each.name);
}

/** @param {string} text */
async function zoneNames(text) {
  if (!may("zato.scheduler.get-zones")) {
    const wanted = text.toLowerCase().replaceAll(" ", "_");
    return Intl.supportedValuesOf("timeZone").filter((zone) => zone.toLowerCase().includes(wanted)).slice(0, 12);
  }
  const { zones } = await invoke("zato.scheduler.get-zones", { query: text, limit: 12 });
  return /** @type {any[]} */ (zones).map((each) => each.name);
}
