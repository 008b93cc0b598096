// Words for a mark of the timeline: in its tip, for the screen reader, and in the table.
import { html } from "../vendor/vendor.js";
import { OutcomeMark } from "../core/shapes.js";
import { longTime, shortTime, shownZone, zoneName } from "../core/time.js";
import { count, duration, relative, some } from "../core/words.js";

/** @typedef {import("./model.js").Item} Item */
/** @typedef {import("./model.js").Lane} Lane */

/**
 * Say what a mark means, in one sentence.
 * @param {Lane} lane
 * @param {Item} item
 * @param {number} now
 */
export function sentenceOf(lane, item, now) {
  const zone = shownZone(lane.zone), from = shortTime(item.from, zone, now);
  if (item.kind === "upcoming") return `${lane.name}, coming at ${from}, ${relative(item.from - now)}`;
  if (item.number) {
    const several = item.count > 1 ? `${item.count} runs` : `run ${item.number}`;
    const long = item.kind === "running" ? `for ${duration(item.until - item.from)}` : `${item.count > 1 ? "within" : "took"} ${duration(item.until - item.from)}`;
    return `${lane.name}, ${several}, ${item.kind}, ${from}, ${long}`;
  }
  const until = item.until > item.from ? ` to ${shortTime(item.until, zone, now)}` : "";
  return `${lane.name}, ${item.count ? `${some(item.count, "slot")} ` : ""}${item.kind}, ${from}${until}${item.reason ? `: ${item.reason}` : ""}`;
}

/**
 * The rows of a mark: words and values.
 * @param {Lane} lane
 * @param {Item} item
 * @param {number} now
 * @returns {[string, any][]}
 */
export function rowsOf(lane, item, now) {
  const zone = shownZone(lane.zone), isRange = item.until > item.from;
  const at = (/** @type {number} */ ms) => shortTime(ms, zone, now);
  /** @type {[string, any][]} */
  const rows = [];
  if (item.kind === "upcoming") return [["Slot", at(item.from)], ["", relative(item.from - now)]];
  if (item.number) {
    rows.push([item.count > 1 ? "Runs" : "Run", item.count > 1 ? `${count(item.count)}, from number ${item.number}` : `number ${item.number}`], ["Started", at(item.from)]);
    rows.push(item.kind === "running" ? ["For", duration(item.until - item.from)] : [item.count > 1 ? "Within" : "Took", duration(item.until - item.from)]);
    return rows;
  }
  if (item.count) rows.push(["Slots", count(item.count)]);
  rows.push([isRange ? "From" : "At", at(item.from)]);
  if (isRange) rows.push(["To", at(item.until)]);
  if (item.reason) rows.push(["Why", item.reason]);
  return rows;
}

/**
 * The tip beside a place of the canvas, above all lanes.
 * @param {{lane: Lane, item: Item | null, now: number, x: number, y: number, canvas: HTMLCanvasElement | null}} props
 */
export function Tip({ lane, item, now, x, y, canvas }) {
  const inner = canvas?.getBoundingClientRect(), outer = canvas?.closest(".timeline")?.getBoundingClientRect();
  if (!inner || !outer) return null;
  const left = inner.left - outer.left + x, top = inner.top - outer.top + y, isRight = left > outer.width - 320;
  const style = { top: `${top + 16}px`, ...(isRight ? { right: `${Math.max(6, outer.width - left + 10)}px` } : { left: `${left + 14}px` }) };
  return html`<div class="tip" style=${style} aria-hidden="true"><div class="row"><b class="isolate">${lane.name}</b>${item ? html`<${OutcomeMark} o=${item.kind} />` : null}</div>${
    item ? html`<dl>${rowsOf(lane, item, now).map(([key, value]) => html`<dt key=${key}>${key}</dt><dd class="isolate">${value}</dd>`)}</dl><p class="tiny muted">${zoneName(shownZone(lane.zone))}</p>` : html`<p class="muted isolate">${lane.words}</p>`}</div>`;
}

/**
 * The timeline as a table: a row for each mark that is seen, the newest first in each job.
 * @param {{lanes: Lane[], items: (lane: Lane) => Item[], now: number, hrefOf: (lane: Lane, item: Item | null) => string}} props
 */
export function MarkTable({ lanes, items, now, hrefOf }) {
  return html`<div class="mark-table" tabindex="0" role="group" aria-label="Timeline as a table"><table class="plain-table"><caption class="sr">Runs, coming slots and slots without a run, by job</caption>
    <thead><tr><th scope="col">Job</th><th scope="col">What</th><th scope="col">When</th><th scope="col">How long</th><th scope="col">Remark</th></tr></thead>${lanes.map((lane) => {
      const own = items(lane), zone = shownZone(lane.zone);
      return html`<tbody key=${lane.id}>${own.length === 0 ? html`<tr><th scope="row"><a class="isolate" href=${hrefOf(lane, null)}>${lane.name}</a></th><td colspan="4" class="muted">nothing in this span</td></tr>` : own.map((item, i) => html`<tr key=${`${item.from} ${item.kind}`}>${
        i === 0 ? html`<th scope="row" rowspan=${own.length}><a class="isolate" href=${hrefOf(lane, null)}>${lane.name}</a></th>` : null}
        <td>${item.number ? html`<a href=${hrefOf(lane, item)}><${OutcomeMark} o=${item.kind} /></a>` : html`<${OutcomeMark} o=${item.kind} />`}</td><td class="num"><span title=${longTime(item.from, zone)}>${shortTime(item.from, zone, now)}</span>${item.until > item.from && !item.number ? ` – ${shortTime(item.until, zone, now)}` : ""}</td>
        <td class="num">${item.number ? duration(item.until - item.from) : item.kind === "upcoming" ? relative(item.from - now) : ""}</td><td class="isolate">${item.count > 1 ? some(item.count, item.number ? "run" : "slot") : ""} ${item.reason}</td></tr>`)}</tbody>`;
    })}</table></div>`;
}
