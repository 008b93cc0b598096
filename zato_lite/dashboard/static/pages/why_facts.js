// The facts behind an explanation.

import { pageUrl } from "../core/base.js";
import { OutcomeMark } from "../core/shapes.js";
import { Time } from "../core/time.js";
import { some } from "../core/words.js";
import { html } from "../vendor/vendor.js";

/** @typedef {Record<string, any>} Fact */

/** @type {Record<string, [string, (fact: Fact, zone: string | undefined) => any]>} */
const KINDS = {
  run: ["Run", runWords],
  blocking_run: ["In its way", runWords],
  outage: ["No server", (fact, zone) => html`${fact.from_iso ? html`from ${time(fact.from_iso, zone)} ` : ""}${fact.to_iso ? html`until ${time(fact.to_iso, zone)}` : ""}`],
  pause: ["Pause", (fact, zone) => html`of the ${fact.of}${fact.by ? html`, by <bdi>${String(fact.by).replace(/^user:/, "")}</bdi>` : ""}${fact.since_iso ? html`, since ${time(fact.since_iso, zone)}` : ""}${fact.until_iso ? html`, until ${time(fact.until_iso, zone)}` : ""}${fact.note ? html`: “<span class="isolate">${fact.note}</span>”` : ""}`],
  calendar: ["Calendar", (fact) => html`<a href=${pageUrl(`/calendars/${encodeURIComponent(fact.name)}`)}><bdi>${fact.name}</bdi></a>${fact.day ? `, ${fact.day}` : ""}${fact.reason ? `: ${fact.reason}` : ""}`],
  bounds: ["Bounds", (fact, zone) => html`${fact.start_iso ? html`from ${time(fact.start_iso, zone)}` : ""}${fact.end_iso ? html` until ${time(fact.end_iso, zone)}` : ""}`],
  schedule: ["Schedule", (fact) => html`${fact.words}${fact.timezone ? html` <span class="muted">${fact.timezone}</span>` : ""}`],
  retention: ["Kept", (fact) => html`${fact.keep_runs ? some(fact.keep_runs, "run") : ""}${fact.keep_runs && fact.keep_days ? ", " : ""}${fact.keep_days ? some(fact.keep_days, "day") : ""}`],
};

/** @param {{facts: Fact[], zone: string | undefined}} props */
export function WhyFacts({ facts, zone }) {
  const known = facts.filter((fact) => fact.kind in KINDS);
  if (!known.length) return null;
  return html`<dl class="facts why-facts">${known.map((fact, index) => {
    const [words, draw] = KINDS[fact.kind] ?? ["", () => null];
    return html`<div key=${fact.kind + index}><dt>${words}</dt><dd>${draw(fact, zone)}</dd></div>`;
  })}</dl>`;
}

/**
 * @param {Fact} fact
 * @param {string | undefined} zone
 */
function runWords(fact, zone) {
  return html`<a href=${pageUrl(`/jobs/${fact.job_id}/runs/${fact.current_run}`)}>#${fact.current_run}</a> <${OutcomeMark} o=${fact.outcome} />${fact.started_iso ? html`, started ${time(fact.started_iso, zone)}` : ""}${fact.ended_iso ? html`, ended ${time(fact.ended_iso, zone)}` : ""}`;
}

/**
 * @param {string | null} at
 * @param {string | undefined} zone
 */
function time(at, zone) {
  return html`<${Time} at=${at} zone=${zone} />`;
}
