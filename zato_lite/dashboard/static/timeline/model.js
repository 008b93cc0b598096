// Lanes: what happened to a job's slots and what will, in arrays that are quick to search.
import { instant } from "../core/time.js";
import { outcomeOf } from "../core/shapes.js";

/** Kinds of marks; their order is the order of drawing, so that what needs somebody is on top. */
export const KINDS = /** @type {const} */ (["ok", "running", "cancelled", "skipped", "excluded", "paused", "missed", "timeout", "error", "lost"]);

/** @typedef {typeof KINDS[number] | "upcoming"} Kind */
/** @typedef {{from: number, until: number, kind: number, count: number, reason: string}} Range */

/**
 * @typedef {object} Lane
 * @property {number} id
 * @property {string} name
 * @property {string} service
 * @property {string} words
 * @property {string} state
 * @property {string | undefined} zone
 * @property {string | null} outcome of the last run
 * @property {number} n runs
 * @property {Float64Array} starts
 * @property {Float64Array} ends
 * @property {Uint8Array} kinds
 * @property {Float64Array} numbers
 * @property {Float64Array} counts
 * @property {number} longest milliseconds, bounds a search backwards
 * @property {Float64Array} coming
 * @property {[number, number, number][]} density
 * @property {Range[]} ranges
 */

/**
 * What a point of a lane shows.
 * @typedef {{kind: Kind, from: number, until: number, number: number, count: number, reason: string}} Item
 */

const ROOM = 64;

/** @param {string} outcome */
export function kindOf(outcome) {
  const at = KINDS.indexOf(/** @type {any} */ (outcomeOf(outcome)));
  return at < 0 ? 0 : at;
}

/**
 * Make a lane of an answer of zato.scheduler.get-timeline.
 * @param {any} job
 * @param {number} base instant of millisecond 0
 * @param {number[]} kinds of the outcomes by index
 * @param {string[]} reasons
 * @returns {Lane}
 */
export function laneOf(job, base, kinds, reasons) {
  const n = job.runs.length, room = n + ROOM;
  /** @type {Lane} */
  const lane = {
    id: job.id, name: job.name, service: job.service, words: job.words ?? "", state: job.state, zone: job.timezone ?? undefined, outcome: job.last_outcome, n,
    starts: new Float64Array(room), ends: new Float64Array(room), kinds: new Uint8Array(room), numbers: new Float64Array(room), counts: new Float64Array(room), longest: 0,
    coming: Float64Array.from(job.coming ?? [], (/** @type {number} */ ms) => base + ms),
    density: (job.density ?? []).map((/** @type {number[]} */ [from, until, count]) => [base + from, base + until, count]),
    ranges: (job.ranges ?? []).map((/** @type {number[]} */ [from, until, outcome, count, reason]) => ({ from: base + from, until: base + until, kind: kinds[outcome], count, reason: reasons[reason] ?? "" })),
  };
  job.runs.forEach((/** @type {number[]} */ [start, length, outcome, number, count], /** @type {number} */ i) => {
    const isRunning = KINDS[kinds[outcome]] === "running";
    lane.starts[i] = base + start;
    lane.ends[i] = isRunning ? Infinity : base + start + length;
    lane.kinds[i] = kinds[outcome];
    lane.numbers[i] = number;
    lane.counts[i] = count;
    if (!isRunning) lane.longest = Math.max(lane.longest, length);
  });
  return lane;
}

const RUNNING = KINDS.indexOf("running");

/**
 * Show what an event says about a run.
 * @param {Lane} lane
 * @param {any} data of run-started or run-ended
 */
export function applyRun(lane, data) {
  const number = Number(data.run), start = instant(data.started_iso) ?? instant(data.slot) ?? 0;
  const hasEnded = data.outcome !== undefined && data.outcome !== null && data.outcome !== "running";
  const end = hasEnded ? (instant(data.ended_iso) ?? start + (data.duration_ms ?? 0)) : Infinity;
  const kind = hasEnded ? kindOf(data.outcome) : RUNNING;
  let i = lane.n - 1;
  while (i >= 0 && lane.numbers[i] !== number && lane.n - i < 200) i -= 1;
  if (i < 0 || lane.numbers[i] !== number) i = insert(lane, start);
  else if (lane.starts[i] > start) lane.starts[i] = start;
  lane.ends[i] = end;
  lane.kinds[i] = kind;
  lane.numbers[i] = number;
  lane.counts[i] ||= 1;
  if (hasEnded) {
    lane.outcome = data.outcome;
    lane.longest = Math.max(lane.longest, end - start);
  }
}

/**
 * Make room for a run, in the order of starts; return its index.
 * @param {Lane} lane
 * @param {number} start
 */
function insert(lane, start) {
  if (lane.n === lane.starts.length) {
    for (const key of /** @type {const} */ (["starts", "ends", "kinds", "numbers", "counts"])) {
      const wider = new (/** @type {any} */ (lane[key].constructor))(lane.n + Math.max(ROOM, lane.n >> 1));
      wider.set(lane[key]);
      /** @type {any} */ (lane)[key] = wider;
    }
  }
  const at = firstFrom(lane.starts, lane.n, start + 1e-6);
  for (const key of /** @type {const} */ (["starts", "ends", "kinds", "numbers", "counts"])) {
    lane[key].copyWithin(at + 1, at, lane.n);
    lane[key][at] = 0;
  }
  lane.starts[at] = start;
  lane.n += 1;
  return at;
}

/**
 * Return the index of the first of n sorted values that is not below x.
 * @param {Float64Array} sorted
 * @param {number} n
 * @param {number} x
 */
export function firstFrom(sorted, n, x) {
  let low = 0, high = n;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * @param {Lane} lane
 * @param {number} i
 * @param {number} now
 * @returns {Item}
 */
function runItem(lane, i, now) {
  const until = lane.ends[i] === Infinity ? Math.max(now, lane.starts[i]) : lane.ends[i];
  return { kind: KINDS[lane.kinds[i]], from: lane.starts[i], until, number: lane.numbers[i], count: lane.counts[i], reason: "" };
}

/** @param {Range} range @returns {Item} */
function rangeItem(range) {
  return { kind: KINDS[range.kind], from: range.from, until: range.until, number: 0, count: range.count, reason: range.reason };
}

/** @param {number} at @returns {Item} */
function comingItem(at) {
  return { kind: "upcoming", from: at, until: at, number: 0, count: 1, reason: "" };
}

/**
 * Return what is at an instant of a lane, or within `slack` milliseconds of it.
 * @param {Lane} lane
 * @param {number} t
 * @param {number} slack
 * @param {number} now
 * @param {Set<string>} hidden
 * @returns {Item | null}
 */
export function itemAt(lane, t, slack, now, hidden) {
  let best = null, distance = slack;
  for (let i = firstFrom(lane.starts, lane.n, t - lane.longest - slack); i < lane.n && lane.starts[i] <= t + slack; i += 1) {
    if (hidden.has(KINDS[lane.kinds[i]])) continue;
    const end = lane.ends[i] === Infinity ? now : lane.ends[i];
    const far = Math.max(lane.starts[i] - t, t - end, 0);
    // Of two that are as near, the one that needs somebody, as it is drawn on top.
    if (far < distance || (far === distance && (best === null || lane.kinds[i] >= lane.kinds[best]))) { best = i; distance = far; }
  }
  if (best !== null) return runItem(lane, best, now);
  const k = firstFrom(lane.coming, lane.coming.length, Math.max(t - slack, now));
  if (k < lane.coming.length && lane.coming[k] <= t + slack && !hidden.has("upcoming")) return comingItem(lane.coming[k]);
  const range = lane.ranges.find((other) => other.from - slack <= t && t <= other.until + slack && !hidden.has(KINDS[other.kind]));
  return range ? rangeItem(range) : null;
}

/**
 * Return the next item of a lane after an instant, or the one before it.
 * @param {Lane} lane
 * @param {number} t start of the present item
 * @param {1 | -1} direction
 * @param {number} now
 * @param {Set<string>} hidden
 * @returns {Item | null}
 */
export function nextItem(lane, t, direction, now, hidden) {
  const found = [];
  let i = direction > 0 ? firstFrom(lane.starts, lane.n, t + 0.001) : firstFrom(lane.starts, lane.n, t) - 1;
  while (i >= 0 && i < lane.n && hidden.has(KINDS[lane.kinds[i]])) i += direction;
  if (i >= 0 && i < lane.n) found.push(runItem(lane, i, now));
  if (!hidden.has("upcoming")) {
    const k = direction > 0 ? firstFrom(lane.coming, lane.coming.length, Math.max(t + 0.001, now)) : firstFrom(lane.coming, lane.coming.length, t) - 1;
    if (k >= 0 && k < lane.coming.length && lane.coming[k] >= now) found.push(comingItem(lane.coming[k]));
  }
  const ranges = lane.ranges.filter((range) => !hidden.has(KINDS[range.kind]) && (direction > 0 ? range.from > t : range.from < t));
  found.push(...ranges.map(rangeItem));
  return found.sort((a, b) => direction * (a.from - b.from))[0] ?? null;
}

/**
 * Count what the lanes show between two instants, by kind; coming slots as "upcoming".
 * @param {Lane[]} lanes
 * @param {number} from
 * @param {number} to
 * @param {number} now
 * @returns {Record<string, number>}
 */
export function countKinds(lanes, from, to, now) {
  /** @type {Record<string, number>} */
  const counts = {};
  const add = (/** @type {string} */ kind, /** @type {number} */ n) => { counts[kind] = (counts[kind] ?? 0) + n; };
  for (const lane of lanes) {
    for (let i = firstFrom(lane.starts, lane.n, from - lane.longest); i < lane.n && lane.starts[i] < to; i += 1) {
      if (lane.ends[i] >= from) add(KINDS[lane.kinds[i]], lane.counts[i]);
    }
    for (const range of lane.ranges) if (range.until >= from && range.from < to && range.count) add(KINDS[range.kind], range.count);
    const k = firstFrom(lane.coming, lane.coming.length, Math.max(from, now));
    add("upcoming", Math.max(0, firstFrom(lane.coming, lane.coming.length, to) - k));
    for (const [start, until, count] of lane.density) {
      const share = (Math.min(until, to) - Math.max(start, from, now)) / (until - start);
      if (share > 0) add("upcoming", Math.round(count * share));
    }
  }
  return counts;
}
