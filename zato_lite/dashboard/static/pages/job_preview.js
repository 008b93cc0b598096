// What a form would do: in words, its next slots, special nights and days, and what changes.

import { stringify } from "../core/exact.js";
import { instant, MINE, now, shownZone, zoneName } from "../core/time.js";
import { CopyAs } from "../core/ui.js";
import { some } from "../core/words.js";
import { NAMES } from "../lib/duration.js";
import { html } from "../vendor/vendor.js";
import { formsOf } from "./job_copy.js";
import { SlotList } from "./job_upcoming.js";

/** @typedef {import("./job_form.js").JobForm} JobForm */

/** Fields of the definition that are one in the form. */
const UNITS_OF_TIME = new Set(/** @type {string[]} */ (NAMES));

/** @param {{form: JobForm, id: number | null}} props */
export function Preview({ form, id }) {
  const { check } = form, zone = form.values["timezone"] || "UTC";
  const words = check.words;
  const changes = id === null ? [] : changesOf(form);
  const first = check.slots[0];
  return html`<aside class="preview card" aria-label="Preview">
    <div aria-live="polite">
      ${words ? html`<p class="words">${capital(words)}</p>` : html`<p class="muted pad">When its fields are right, it is described here.</p>`}
      <p class="muted small pad-side">Times are in ${zoneName(shownZone(zone))}${shownZone(zone) === MINE ? ", your zone" : ""}${zone !== shownZone(zone) ? `, and in ${zoneName(zone)}, the job's` : ""}.</p>
    </div>
    ${form.values["is_active"] !== "true" && html`<p class="pad-side warn-text">It is paused: no slot gets a run until it is resumed.</p>`}
    ${isPast(form) && html`<p class="pad-side warn-text">${form.values["start_date"] ? "This time is past" : "No time is given"}: ${form.values["start_date"] && form.values["on_missed"] === "skip" ? "it would never run, since missed slots are not run." : `it would run as soon as it is ${id === null ? "created" : "saved"}.`}</p>`}
    ${check.problem && html`<p class="pad o-error">${check.problem}</p>`}
    ${check.answer?.warnings?.map((/** @type {string} */ text) => html`<p key=${text} class="pad-side warn-text">${capital(text)}</p>`)}
    <div>${first && !check.isCurrent && !check.isChecking ? html`<p class="pad-side warn-text">The fields are not right yet; this is what they were before.</p>` : null}${first ? html`<${SlotList} slots=${check.slots} zone=${zone} />` : html`<p class="muted pad">No slot yet.</p>`}
    ${check.special.length > 0 && html`<h3 class="part">Nights when the clock changes, days off</h3><${SlotList} slots=${check.special} zone=${zone} />`}</div>
    ${id !== null && html`<h3 class="part">What changes<span class="grow"></span><span class="small muted">${some(changes.length, "field")}</span></h3>
      <div class="diff">${changes.length ? changes.map(({ field, from, to }) => html`<div key=${field}>${from === null || from === undefined ? null : html`<del class="isolate">− ${field}: ${stringify(from)}</del>`}${to === null || to === undefined ? null : html`<ins class="isolate">+ ${field}: ${stringify(to)}</ins>`}</div>`) : html`<span class="muted">Nothing yet.</span>`}</div>`}
    <div class="pad part-box"><${CopyAs} forms=${formsOf(`zato.scheduler.job.${id === null ? "create" : "edit"}`, id === null ? form.payload : { id, ...form.payload })} /></div>
  </aside>`;
}

/**
 * Return true if a job for one time has none that is to come.
 *
 * @param {JobForm} form
 */
function isPast({ values, check }) {
  return values["job_type"] === "one_time" && check.isCurrent && !check.isChecking && (instant(check.slots[0]?.slot) ?? Infinity) < now.value;
}

/**
 * Return the changes as the server sees them, or as they were typed until it has answered.
 *
 * @param {JobForm} form
 * @returns {{field: string, from: unknown, to: unknown}[]}
 */
function changesOf(form) {
  if (!form.isChanged) return [];
  if (form.check.answer?.changes && !form.isChecking) {
    const changes = /** @type {{field: string, from: unknown, to: unknown}[]} */ (form.check.answer.changes);
    const others = changes.filter(({ field }) => !UNITS_OF_TIME.has(field));
    return others.length === changes.length ? changes : [{ field: "every", from: form.start["every"] || null, to: form.values["every"] || null }, ...others];
  }
  return Object.entries(form.payload).map(([field, to]) => ({ field, from: form.start[field] || null, to }));
}

/** @param {string} text */
function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
