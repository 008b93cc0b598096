// Where a run's time went: from its slot over claim and start to its end, attempt by attempt.

import { OutcomeMark, outcomeOf } from "../core/shapes.js";
import { instant, now, Time } from "../core/time.js";
import { Card } from "../core/ui.js";
import { duration } from "../core/words.js";
import { html } from "../vendor/vendor.js";

/** @typedef {Record<string, any>} Run */

/**
 * @typedef {object} Span
 * @property {string} words
 * @property {number} from milliseconds since 1970
 * @property {number} until
 * @property {string} kind an outcome, or "wait"
 * @property {string} note
 * @property {number | null} [took] milliseconds, where they are known exactly: instants are whole ones
 */

/** @param {{run: Run, usual: any}} props */
export function Waterfall({ run, usual }) {
  const slot = instant(run.planned_fire_time_iso) ?? 0;
  const spans = spansOf(run, slot, now.value);
  const end = Math.max(...spans.map((span) => span.until), slot + 1);
  const start = Math.min(slot, ...spans.map((span) => span.from));
  const first = instant(run.attempts?.[0]?.started_iso);
  const took = run.duration_ms ?? (run.outcome === "running" && run.actual_fire_time_iso ? now.value - (instant(run.actual_fire_time_iso) ?? 0) : null);
  return html`<${Card} title="Where the time went" cls="waterfall" actions=${html`<span class="small muted">${usually(took, usual)}</span>`}>
    <dl class="steps">
      <div><dt>Slot</dt><dd><${Time} at=${run.planned_fire_time_iso} withZone /></dd></div>
      ${run.claimed_iso && html`<div><dt>Claimed</dt><dd>${sign(instant(run.claimed_iso), slot)}</dd></div>`}
      <div><dt>Started</dt><dd>${first === null ? (run.actual_fire_time_iso ? late(run.delay_ms) : "not yet") : late(first - slot)}</dd></div>
      <div><dt>Took</dt><dd><b>${duration(took)}</b></dd></div>
      ${run.ended_iso && html`<div><dt>Ended</dt><dd><${Time} at=${run.ended_iso} /></dd></div>`}
    </dl>
    <${Delay} parts=${first === null ? run.delay_parts : null} />
    <ol class="spans">${spans.map((span, index) => html`<li key=${index}>
      <span class="span-words">${span.kind === "wait" ? html`<span class="muted">${span.words}</span>` : html`<${OutcomeMark} o=${span.kind} words=${span.words} />`}</span>
      <svg class="span-bar" viewBox="0 0 1000 16" preserveAspectRatio="none" aria-hidden="true"><rect class=${span.kind === "wait" ? "bar-wait" : `o-${outcomeOf(span.kind)}`} fill="currentColor" rx="3"
        x=${(1000 * (span.from - start)) / (end - start)} width=${Math.max(4, (1000 * (span.until - span.from)) / (end - start))} y=${span.kind === "wait" ? 6 : 2} height=${span.kind === "wait" ? 4 : 12} /></svg>
      <span class="num">${tookOf(span)}</span>
      ${span.note && html`<span class="span-note small">${span.note}</span>`}</li>`)}</ol>
  <//>`;
}

/**
 * @param {Run} run
 * @param {number} slot
 * @param {number} at now
 * @returns {Span[]}
 */
function spansOf(run, slot, at) {
  /** @type {Span[]} */
  const spans = [];
  const started = instant(run.actual_fire_time_iso);
  let last = slot;
  const wait = (/** @type {number} */ until, /** @type {string} */ words) => {
    if (until - last >= 1) spans.push({ words, from: last, until, kind: "wait", note: "" });
  };
  for (const each of run.attempts ?? []) {
    const from = instant(each.started_iso) ?? last, until = instant(each.finished_iso) ?? from;
    wait(from, spans.length ? "wait" : "delay");
    spans.push({ words: `attempt ${each.attempt}`, from, until, kind: each.outcome, note: lastLine(each.error) });
    last = until;
  }
  const hasEarlier = spans.length > 0;
  const from = instant(run.started_iso) ?? started;
  if (from === null || (run.state === "waiting" && hasEarlier)) {
    if (run.outcome === "running" && at > last) wait(at, run.state === "waiting" ? "waits for its next attempt" : "waits");
    return spans;
  }
  const begin = hasEarlier ? Math.max(from, last) : from;
  const until = (hasEarlier || run.duration_ms == null ? instant(run.ended_iso) : begin + run.duration_ms) ?? (run.outcome === "running" ? Math.max(at, begin) : begin + (run.duration_ms ?? 0));
  wait(begin, hasEarlier ? "wait" : "delay");
  spans.push({ words: `attempt ${run.attempt}`, from: begin, until: Math.max(begin, until), kind: run.outcome, note: "", took: run.duration_ms });
  return spans;
}

/** @param {Span} span */
function tookOf({ from, until, took }) {
  const ms = took ?? until - from;
  return ms < 1 && took == null ? "< 1 ms" : duration(ms);
}

/**
 * Return the line of a traceback that says what is wrong.
 *
 * @param {string | null} error
 */
function lastLine(error) {
  return error?.split("\n").findLast((line) => line.trim() !== "") ?? "";
}

/** @param {{parts: any}} props */
function Delay({ parts }) {
  if (!parts) return null;
  const named = /** @type {[string, number][]} */ ([["jitter", parts.jitter_ms], ["until the claim", parts.claim_ms], ["waiting to start", parts.wait_ms]]);
  const seen = named.filter(([, ms]) => ms >= 1);
  if (!seen.length) return null;
  return html`<p class="small muted pad">The delay: ${seen.map(([words, ms]) => `${duration(ms)} ${words}`).join(", ")}.</p>`;
}

/** @param {number | null} ms */
function late(ms) {
  return ms === null || ms < 0.05 ? "at its slot" : `${duration(ms)} after its slot`;
}

/**
 * @param {number | null} at
 * @param {number} slot
 */
function sign(at, slot) {
  if (at === null) return "–";
  return at <= slot ? `${duration(slot - at)} before its slot` : `${duration(at - slot)} after its slot`;
}

/**
 * @param {number | null} took
 * @param {any} usual
 */
function usually(took, usual) {
  if (!usual?.p95_ms) return "";
  const words = `usually ${duration(usual.p50_ms)}, 95 % within ${duration(usual.p95_ms)}`;
  return took !== null && took > usual.p95_ms * 1.05 ? `longer than usual: ${words}` : words;
}
