// Lanes from the server: fetched for more than is seen, and kept current by events in between.
import { useEffect, useRef, useState } from "../vendor/vendor.js";
import { ApiError, invoke } from "../core/api.js";
import { onEvents, refreshes, setInterest } from "../core/live.js";
import { instant } from "../core/time.js";
import { applyRun, kindOf, laneOf } from "./model.js";

/** @typedef {import("./model.js").Lane} Lane */

const MOST_MS = 14 * 86_400_000;
const EVERY_MS = 30_000;
const SETTLE_MS = 140;
const CHANGED_MS = 2000;
const MANY = 200;
const NOTHING = { from: 0, to: 0, resolution: 0 };

/**
 * @typedef {object} LaneData
 * @property {Lane[]} lanes
 * @property {number | undefined} total jobs that match; undefined until it is known
 * @property {ApiError | null} error
 * @property {boolean} isFirst
 * @property {(from: number, to: number, width: number) => void} see tells what is seen
 * @property {() => void} reload
 */

/**
 * Fetch the lanes that match a filter; `changed` is called when there is something new to draw.
 * @param {Record<string, any>} filter ids, or query, state, order and limit
 * @param {() => void} changed
 * @param {() => boolean} isHeld the order of lanes must not change now
 * @returns {LaneData}
 */
export function useLanes(filter, changed, isHeld) {
  const [, rerender] = useState(0);
  const key = JSON.stringify(filter);
  const ref = useRef(/** @type {Loader | null} */ (null));
  ref.current ??= new Loader(changed, isHeld, () => rerender((n) => n + 1));
  const loader = ref.current;
  useEffect(() => loader.setFilter(filter), [key]);
  const refreshed = refreshes.value, seen = useRef(refreshed);
  useEffect(() => { if (seen.current !== refreshed) { seen.current = refreshed; loader.reload(); } }, [refreshed]);
  useEffect(() => loader.follow(), []);
  return { lanes: loader.lanes, total: loader.total, error: loader.error, isFirst: loader.isFirst, see: (from, to, width) => loader.see(from, to, width), reload: () => loader.reload() };
}

class Loader {
  /**
   * @param {() => void} changed
   * @param {() => boolean} isHeld
   * @param {() => void} rerender
   */
  constructor(changed, isHeld, rerender) {
    Object.assign(this, { changed, isHeld, rerender });
    this.changed = changed;
    this.isHeld = isHeld;
    this.rerender = rerender;
    this.lanes = /** @type {Lane[]} */ ([]);
    this.byId = /** @type {Map<number, Lane>} */ (new Map());
    this.filter = /** @type {Record<string, any> | null} */ (null);
    this.total = /** @type {number | undefined} */ (undefined);
    this.error = /** @type {ApiError | null} */ (null);
    this.isFirst = true;
    this.seen = { from: 0, to: 0, width: 0 };
    this.loaded = this.coming = NOTHING; // what is shown, and what has been asked for
    this.timer = 0;
    this.abort = /** @type {AbortController | null} */ (null);
  }

  /** @param {Record<string, any>} filter */
  setFilter(filter) {
    this.filter = filter;
    this.loaded = this.coming = NOTHING;
    this.reload();
  }

  /**
   * @param {number} from
   * @param {number} to
   * @param {number} width
   */
  see(from, to, width) {
    this.seen = { from, to, width };
    const resolution = (to - from) / width;
    const isCovered = [this.loaded, this.coming].some((it) => from >= it.from && to <= it.to && resolution > it.resolution / 2.5 && resolution < it.resolution * 6);
    if (!isCovered) this.soon(this.loaded.to ? SETTLE_MS : 0);
  }

  /** @param {number} ms */
  soon(ms) {
    this.timer ||= setTimeout(() => { this.timer = 0; void this.load(); }, ms);
  }

  reload() {
    clearTimeout(this.timer);
    this.timer = 0;
    void this.load();
  }

  async load() {
    const { from, to, width } = this.seen;
    if (!this.filter || width === 0 || document.hidden) return;
    this.abort?.abort();
    const abort = new AbortController(), span = to - from, more = Math.min(span, (MOST_MS - span) / 2);
    this.abort = abort;
    const resolution = Math.floor(span / width), start = Math.floor(from - more), until = Math.ceil(to + more);
    this.coming = { from: start, to: until, resolution: Math.max(1, resolution) };
    try {
      const input = { ...this.filter, start: new Date(start).toISOString(), until: new Date(until).toISOString(), resolution_ms: resolution };
      const answer = await invoke("zato.scheduler.get-timeline", input, { signal: abort.signal });
      if (abort.signal.aborted) return;
      this.take(answer, instant(answer.start_iso) ?? start);
      this.loaded = this.coming;
      this.error = null;
    } catch (error) {
      if (abort.signal.aborted) return;
      this.error = error instanceof ApiError ? error : new ApiError(0, String(error));
    }
    this.coming = NOTHING;
    this.isFirst = false;
    this.rerender();
    this.changed();
  }

  /**
   * @param {any} answer
   * @param {number} base
   */
  take(answer, base) {
    const kinds = answer.outcomes.map(kindOf);
    const lanes = /** @type {Lane[]} */ (answer.jobs.map((/** @type {any} */ job) => laneOf(job, base, kinds, answer.reasons)));
    if (this.isHeld()) {
      const rank = new Map(this.lanes.map((lane, i) => [lane.id, i]));
      lanes.sort((a, b) => (rank.get(a.id) ?? 1e9) - (rank.get(b.id) ?? 1e9));
    }
    this.lanes = lanes;
    this.byId = new Map(lanes.map((lane) => [lane.id, lane]));
    this.total = answer.total;
    setInterest(answer.total > MANY ? [...this.byId.keys()] : null);
  }

  /** Keep the lanes current; returns the function that ends it. */
  follow() {
    const timer = setInterval(() => this.reload(), EVERY_MS);
    const endRuns = onEvents(["run-started", "run-ended"], (events) => {
      let isSeen = false;
      for (const { data } of events) {
        const lane = this.byId.get(data.job_id);
        if (lane && data.started_iso) { applyRun(lane, data); isSeen = true; }
        else if (lane) this.soon(CHANGED_MS);
      }
      if (isSeen) this.changed();
    });
    const endChanges = onEvents(["slot-decided", "job-changed", "jobs-changed", "change"], () => this.soon(CHANGED_MS));
    return () => { clearInterval(timer); clearTimeout(this.timer); this.abort?.abort(); endRuns(); endChanges(); setInterest(null); };
  }
}
