// The slots that come, with what is special about some of them.

import { Shape } from "../core/shapes.js";
import { useService } from "../core/store.js";
import { format, instant, MINE, now, shortDay, shownZone, zoneName } from "../core/time.js";
import { Button, Card, Empty, Show } from "../core/ui.js";
import { relative } from "../core/words.js";
import { html, useState } from "../vendor/vendor.js";

/** @typedef {{slot: string, local: string, at: string, remarks: string[], notes?: {code: string, text: string}[]}} Slot */

const SERVICE = "zato.scheduler.job.get-upcoming";
const STEP = 30;
const MOST = 300;

/** @param {{job: Record<string, any>}} props */
export function Upcoming({ job }) {
  const [count, setCount] = useState(STEP);
  const on = { on: ["job-changed", "next", "run-started"], relevant: (/** @type {any} */ event) => event.data.job_id === job.id };
  const next = useService(SERVICE, { id: job.id, count }, on);
  const special = useService(SERVICE, { id: job.id, count: 100, only_remarkable: true }, on);
  return html`<div class="two-columns">
    <${Card} title="Next slots" actions=${html`<span class="small muted">${zoneName(shownZone(job.timezone))}</span>`} stale=${next.isStale}>
      <${Show} of=${next} rows=${8}>${(/** @type {any} */ data) => data.slots.length
        ? html`<${SlotList} slots=${data.slots} zone=${job.timezone} />${data.slots.length >= count && count < MOST && html`<p class="pad"><${Button} small onClick=${() => setCount(count * 2)}>More<//></p>`}`
        : html`<${Empty} title="No slot left.">The job is past its end, or has run as often as it may.<//>`}<//><//>
    <${Card} title="Nights when the clock changes, and days off" actions=${html`<span class="small muted">within a year</span>`} stale=${special.isStale}>
      <${Show} of=${special}>${(/** @type {any} */ data) => rareSlots(data.slots).length ? html`<${SlotList} slots=${rareSlots(data.slots)} zone=${job.timezone} />` : html`<p class="muted pad">Nothing special within a year.</p>`}<//><//></div>`;
}

const WEEKDAY = /\b(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day$/;

/**
 * Return the slots that are special for another reason than a weekday that is off each week.
 *
 * @param {Slot[]} slots
 * @param {number} [most]
 */
export function rareSlots(slots, most = 20) {
  return slots.map((slot) => ({ ...slot, notes: notesOf(slot).filter((note) => !WEEKDAY.test(note.text)) })).filter((slot) => slot.notes.length).slice(0, most);
}

/**
 * @param {Slot} slot
 * @returns {{code: string, text: string}[]}
 */
function notesOf(slot) {
  return slot.notes ?? slot.remarks.map((text) => ({ code: "", text }));
}

/**
 * Slots as a list, each with its remarks.
 *
 * @param {{slots: Slot[], zone: string | undefined}} props
 */
export function SlotList({ slots, zone }) {
  return html`<ol class="slots">${slots.map((slot) => html`<${SlotItem} key=${slot.slot} slot=${slot} zone=${zone} />`)}</ol>`;
}

/** @param {{slot: Slot, zone: string | undefined}} props */
function SlotItem({ slot, zone }) {
  const shown = shownZone(zone), at = instant(slot.slot) ?? 0;
  const notes = notesOf(slot);
  const day = shortDay(at, shown);
  const clock = format(at, shown, { hour: "2-digit", minute: "2-digit", ...(at % 60_000 ? { second: "2-digit" } : {}) });
  const own = zone && zone !== shown ? `${format(at, zone, { hour: "2-digit", minute: "2-digit" })} ${zoneName(zone)}` : "";
  return html`<li class=${notes.some((note) => !WEEKDAY.test(note.text)) ? "noted" : ""}><span>${day}</span><b><time datetime=${slot.slot} title=${titleFor(at, zone)}>${clock}</time></b><span class="muted small">${own}</span><span class="muted slot-rel">${relative(at - now.value)}</span>
    ${notes.map((note) => html`<span key=${note.text} class="remark"><${Shape} o=${note.code === "excluded" ? "excluded" : note.code === "skipped_on_request" ? "skipped" : "lost"} /><span>${sentence(note.text)}</span></span>`)}</li>`;
}

/**
 * @param {number} at
 * @param {string | undefined} zone
 */
function titleFor(at, zone) {
  const zones = new Set([zone || "UTC", MINE, "UTC"]);
  return [...zones].map((each) => `${format(at, each, { weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" })} ${each}`).join("\n");
}

/** @param {string} text */
function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
