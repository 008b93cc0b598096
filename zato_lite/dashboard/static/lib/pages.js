// Rows of a long list, fetched page by page as they are seen. What is shown stays until new rows have come.

import { ApiError, invoke } from "../core/api.js";
import { refreshes } from "../core/live.js";
import { useEffect, useLayoutEffect, useRef, useState } from "../vendor/vendor.js";

/**
 * @typedef {object} Pages
 * @property {number | undefined} total undefined before the first answer
 * @property {any} answer the latest answer: counts and the like
 * @property {(index: number) => any} rowAt undefined while it is on its way
 * @property {(first: number, last: number) => void} see tell which rows are seen
 * @property {any[]} seen the rows that are loaded
 * @property {ApiError | null} error
 * @property {boolean} isStale
 * @property {() => Promise<void>} reload
 * @property {(change: (row: any) => any) => void} patch change loaded rows in place
 */

const STALE_MS = 300;

/**
 * @param {string} service which takes `cur_page` and `page_size`, and answers with `rows` and `total`
 * @param {Record<string, any>} input
 * @param {number} [size]
 * @returns {Pages}
 */
export function usePages(service, input, size = 50) {
  const [, rerender] = useState(0);
  const key = JSON.stringify(input);
  const state = useRef(/** @type {any} */ (null));
  state.current ??= { pages: new Map(), answer: undefined, error: null, isStale: false, first: 0, last: 0, busy: new Set(), version: 0, abort: new AbortController() };
  const now = state.current;
  now.input = input;
  const show = () => rerender((n) => n + 1);

  /** @param {number} page */
  const load = async (page, isFresh = false) => {
    const { version, abort } = now;
    if (now.busy.has(page)) return;
    now.busy.add(page);
    const dim = setTimeout(() => { now.isStale = true; show(); }, STALE_MS);
    try {
      const answer = await invoke(service, { ...now.input, cur_page: page + 1, page_size: size }, { signal: abort.signal });
      if (version !== now.version) return;
      if (isFresh) now.pages = new Map();
      now.pages.set(page, answer.rows);
      now.answer = answer;
      now.error = null;
    } catch (error) {
      if (version === now.version) now.error = error instanceof ApiError ? error : new ApiError(0, String(error));
    } finally {
      clearTimeout(dim);
      if (version === now.version) {
        now.busy.delete(page);
        now.isStale = false;
        show();
      }
    }
  };
  const reload = async () => {
    now.version += 1;
    now.abort.abort(); // what is on its way belongs to an earlier question
    now.abort = new AbortController();
    now.busy = new Set();
    const first = Math.floor(now.first / size), last = Math.floor(Math.max(now.first, now.last - 1) / size);
    await load(first, true);
    for (let page = first + 1; page <= last; page += 1) await load(page);
  };
  const refreshed = refreshes.value;
  useLayoutEffect(() => { void reload(); }, [key, refreshed]);
  useEffect(() => () => now.abort.abort(), []);
  const see = (/** @type {number} */ first, /** @type {number} */ last) => {
    now.first = first;
    now.last = last;
    if (now.answer === undefined || now.error) return;
    const end = Math.min(last, now.answer.total);
    for (let page = Math.floor(first / size); page * size < end; page += 1) if (!now.pages.has(page)) void load(page);
  };
  const patch = (/** @type {(row: any) => any} */ change) => {
    for (const [page, rows] of now.pages) now.pages.set(page, rows.map(change));
    show();
  };
  return {
    total: now.answer?.total,
    answer: now.answer,
    rowAt: (index) => now.pages.get(Math.floor(index / size))?.[index % size],
    see,
    seen: [...now.pages.values()].flat(),
    error: now.error,
    isStale: now.isStale,
    reload,
    patch,
  };
}
