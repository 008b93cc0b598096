// The axis: round instants of the shown zone, also over a change of its clock.
import { format } from "../core/time.js";

const SECOND = 1000, MINUTE = 60_000, HOUR = 3_600_000, DAY = 86_400_000;
const STEPS = [1, 2, 5, 10, 15, 30].map((n) => n * SECOND).concat([1, 2, 5, 10, 15, 30].map((n) => n * MINUTE), [1, 2, 3, 6, 12].map((n) => n * HOUR), [1, 2, 7].map((n) => n * DAY));
const QUARTER = 15 * MINUTE;
const MOST_KEPT = 2000;

/** @type {Map<string, number>} */
const offsets = new Map();

/**
 * Return the milliseconds that a zone is ahead of UTC at an instant.
 * @param {number} ms
 * @param {string} zone
 */
export function offsetOf(ms, zone) {
  if (zone === "UTC") return 0;
  const quarter = Math.floor(ms / QUARTER), key = `${zone} ${quarter}`;
  let known = offsets.get(key);
  if (known === undefined) {
    const text = format(quarter * QUARTER, zone, { timeZoneName: "longOffset" }).split(" ").pop() ?? "";
    const [, sign, hours, minutes] = /GMT([+-])(\d\d):(\d\d)/.exec(text) ?? ["", "+", "0", "0"];
    known = (sign === "-" ? -1 : 1) * (Number(hours) * HOUR + Number(minutes) * MINUTE);
    if (offsets.size > MOST_KEPT) offsets.clear();
    offsets.set(key, known);
  }
  return known;
}

/**
 * Return the step of an axis and its ticks with their labels.
 * @param {number} from
 * @param {number} to
 * @param {number} width pixels
 * @param {string} zone
 * @returns {{step: number, ticks: {at: number, label: string, isDay: boolean}[]}}
 */
export function ticksOf(from, to, width, zone) {
  const wanted = ((to - from) / width) * 84, step = STEPS.find((ms) => ms >= wanted) ?? 7 * DAY;
  const ticks = [];
  let local = Math.ceil((from + offsetOf(from, zone)) / step) * step;
  for (let guard = 0; guard < 400; guard += 1, local += step) {
    let at = local - offsetOf(local - offsetOf(from, zone), zone);
    at = local - offsetOf(at, zone);
    if (at > to) break;
    if (at < from || (ticks.length && at <= ticks[ticks.length - 1].at)) continue; // in a gap of the clock
    ticks.push({ at, ...labelOf(at, local, step, zone) });
  }
  return { step, ticks };
}

/**
 * @param {number} at
 * @param {number} local
 * @param {number} step
 * @param {string} zone
 */
function labelOf(at, local, step, zone) {
  const isDay = local % DAY === 0;
  if (isDay) return { isDay, label: format(at, zone, { weekday: "short", day: "numeric", month: step >= DAY ? "short" : undefined }).replace(",", "") };
  const parts = /** @type {Intl.DateTimeFormatOptions} */ ({ hour: "2-digit", minute: "2-digit", second: step < MINUTE ? "2-digit" : undefined });
  return { isDay, label: format(at, zone, parts) };
}
