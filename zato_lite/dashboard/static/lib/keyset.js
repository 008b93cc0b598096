// A list without an end: its next rows come when its last ones are seen; new rows wait at its head.

import { ApiError, invoke } from "../core/api.js";
import { onEvents, refreshes } from "../core/live.js";
import { useEffect, useLayoutEffect, useRef, useState } from "../vendor/vendor.js";

/**
 * @typedef {object} Keyset
 * @property {any[] | undefined} rows undefined before the first answer
 * @property {any} answer the latest answer
 * @property {number} fresh rows that have come since, and are not shown
 * @property {boolean} isWhole there are no older ones
 * @property {ApiError | null} error
 * @property {boolean} isStale
 * @property {() => Promise<void>} reload
 * @property {(first: number, last: number) => void} see tell which rows are seen
 */

/**
 * @typedef {object} KeysetOptions
 * @property {string} [key] the field that continues the list
 * @property {string} [next] the field of the answer with its value; without it, the last row's `id`
 * @property {string[]} [on] kinds of events that change the list
 * @property {(event: import("../core/live.js").LiveEvent) => boolean} [relevant]
 * @property {boolean} [isHeld] the rows must not move now
 */

const LIMIT = 100;
const AHEAD = 30;
const STALE_MS = 300;
const SETTLE_MS = 1000;

/**
 * @param {string} service
 * @param {Record<string, any>} input
 * @param {KeysetOptions} options
 * @returns {Keyset}
 */
export function useKeyset(service, input, options) {
  const [, rerender] = useState(0);
  const state = useRef(/** @type {any} */ (null));
  state.current ??= { rows: undefined, answer: undefined, next: null, error: null, isStale: false, isBusy: false, version: 0, fresh: 0 };
  const now = state.current, key = JSON.stringify([service, input]);
  Object.assign(now, { service, input, options });
  const show = () => rerender((n) => n + 1);

  const load = async (/** @type {boolean} */ isFirst) => {
    if (now.isBusy && !isFirst) return;
    now.version += 1;
    now.isBusy = true;
    const { version } = now, { key: field = "before", next: nextField } = now.options;
    const dim = setTimeout(() => { now.isStale = isFirst; show(); }, STALE_MS);
    try {
      const answer = await invoke(now.service, { ...now.input, limit: LIMIT, ...(isFirst || now.next === null ? {} : { [field]: now.next }) });
      if (version !== now.version) return;
      const rows = Array.isArray(answer) ? answer : answer.rows;
      now.rows = isFirst ? rows : [...now.rows, ...rows];
      now.next = nextField ? answer[nextField] : rows.length < LIMIT ? null : rows.at(-1).id;
      now.answer = answer;
      now.error = null;
      if (isFirst) now.fresh = 0;
    } catch (error) {
      if (version === now.version) now.error = error instanceof ApiError ? error : new ApiError(0, String(error));
    } finally {
      clearTimeout(dim);
      if (version === now.version) {
        now.isBusy = now.isStale = false;
        show();
        if (now.next !== null && now.rows && now.seen > now.rows.length - AHEAD && !now.error) void load(false);
      }
    }
  };
  const refreshed = refreshes.value;
  useLayoutEffect(() => {
    now.seen = 0;
    void load(true);
  }, [key, refreshed]);
  useEffect(() => {
    if (!options.on) return undefined;
    let settling = 0;
    const end = onEvents(options.on, (events) => {
      const count = now.options.relevant ? events.filter(now.options.relevant).length : events.length;
      if (!count) return;
      now.fresh += count;
      settling ||= setTimeout(() => {
        settling = 0;
        if (now.options.isHeld || now.rows?.length > LIMIT) show();
        else void load(true);
      }, SETTLE_MS);
    });
    return () => {
      clearTimeout(settling);
      end();
    };
  }, []);
  const see = (/** @type {number} */ _, /** @type {number} */ last) => {
    now.seen = last;
    if (now.rows && now.next !== null && !now.error && last > now.rows.length - AHEAD) void load(false);
  };
  return { rows: now.rows, answer: now.answer, fresh: now.fresh, isWhole: now.next === null, error: now.error, isStale: now.isStale, reload: () => load(true), see };
}
