// Data of services for components: what is shown stays while new data is fetched.
import { useLayoutEffect, useRef, useState } from "../vendor/vendor.js";
import { ApiError, invoke } from "./api.js";
import { onEvents, refreshes } from "./live.js";
import { denied, session } from "./session.js";

/**
 * @template T
 * @typedef {object} Loaded
 * @property {T | undefined} data the latest answer, also an old one
 * @property {ApiError | null} error of the latest attempt
 * @property {boolean} isFirst nothing has come yet
 * @property {boolean} isStale new data is on its way for longer than 300 ms
 * @property {number} at when the data came, by performance.now(); 0 before
 * @property {string} denied why the session may not have it; empty if it may
 * @property {() => Promise<void>} reload
 */

const MOST_KEPT = 60;
const STALE_MS = 300;
/** @type {Map<string, any>} */
const kept = new Map();

/**
 * Invoke a service and show its answer: again when the input changes, on events, after a time,
 * and whenever the whole page refreshes. One request at a time; the latest input wins.
 * @template [T=any]
 * @param {string} service its name; nothing is invoked if it is empty or the session may not
 * @param {Record<string, any>} [input]
 * @param {{every?: number, on?: string[], relevant?: (event: import("./live.js").LiveEvent) => boolean,
 *          settle?: number, exact?: boolean}} [options] every: seconds between two fetches;
 *     on: kinds of events that call for a new fetch, at most one in `settle` milliseconds (1000)
 * @returns {Loaded<T>}
 */
export function useService(service, input = {}, options = {}) {
  const reason = service && denied(service), name = reason ? "" : service, key = name && `${name} ${JSON.stringify(input)}`;
  const [, rerender] = useState(0);
  const latest = useRef(/** @type {any} */ ({ key: "", data: undefined, error: null, at: 0, isStale: false, options }));
  const state = latest.current;
  state.options = options;
  if (state.key !== key) {
    kept.delete(state.key); // of a span that has moved on, and will not be asked for again
    state.key = key;
    state.error = null;
    if (kept.has(key)) state.data = kept.get(key);
    else if (name === "") state.data = undefined;
  }
  const show = () => rerender((n) => n + 1);
  const refreshed = refreshes.value;
  useLayoutEffect(() => (key ? follow(state, name, input, key, show) : undefined), [key, refreshed, session.value?.name]);
  const { data, error, at, isStale } = state;
  const reload = () => state.load?.() ?? Promise.resolve();
  return { data, error, at, isStale, isFirst: data === undefined && error === null && !reason, denied: reason, reload };
}

/**
 * Fetch now, and again as the options say; returns the function that ends it.
 * @param {any} state
 * @param {string} name
 * @param {Record<string, any>} input
 * @param {string} key
 * @param {() => void} show
 */
function follow(state, name, input, key, show) {
  const abort = new AbortController();
  const { every, on, relevant, settle = 1000 } = state.options;
  let isBusy = false, isAskedAgain = false, settling = 0;

  const load = async () => {
    if (isBusy) { isAskedAgain = true; return; }
    isBusy = true;
    const dim = setTimeout(() => { state.isStale = true; show(); }, STALE_MS);
    try {
      const data = await invoke(name, input, { signal: abort.signal, exact: state.options.exact });
      if (abort.signal.aborted) return;
      Object.assign(state, { data, error: null, at: performance.now() });
      keep(key, data);
    } catch (error) {
      if (abort.signal.aborted) return;
      state.error = error instanceof ApiError ? error : new ApiError(0, String(error));
    } finally {
      clearTimeout(dim);
      isBusy = false;
      if (!abort.signal.aborted) {
        state.isStale = false;
        show();
        if (isAskedAgain) { isAskedAgain = false; void load(); }
      }
    }
  };
  state.load = load;
  void load();

  const soon = () => { settling ||= setTimeout(() => { settling = 0; if (!document.hidden) void load(); }, settle); };
  const timer = every ? setInterval(() => { if (!document.hidden) void load(); }, every * 1000) : 0;
  const end = on ? onEvents(on, (events) => { if (!relevant || events.some(relevant)) soon(); }) : () => {};
  return () => { abort.abort(); clearTimeout(settling); clearInterval(timer); end(); };
}

/**
 * @param {string} key
 * @param {any} data
 */
function keep(key, data) {
  kept.delete(key);
  kept.set(key, data);
  if (kept.size > MOST_KEPT) kept.delete(/** @type {string} */ (kept.keys().next().value));
}

/** Forget all answers: another user has signed in. */
export function forget() {
  kept.clear();
}

/**
 * Run an action with its state: `const save = useAction(async () => …)`, then `save.run()`.
 * A second run while one is going does nothing.
 * @template {any[]} A
 * @param {(...args: A) => Promise<any>} action
 * @returns {{run: (...args: A) => Promise<any>, isBusy: boolean, error: ApiError | null, clear: () => void}}
 */
export function useAction(action) {
  const [state, set] = useState(/** @type {{isBusy: boolean, error: ApiError | null}} */ ({ isBusy: false, error: null }));
  const busy = useRef(false);
  const run = async (/** @type {A} */ ...args) => {
    if (busy.current) return undefined;
    busy.current = true;
    set({ isBusy: true, error: null });
    try {
      const result = await action(...args);
      set({ isBusy: false, error: null });
      return result;
    } catch (error) {
      set({ isBusy: false, error: error instanceof ApiError ? error : new ApiError(0, String(error)) });
      return undefined;
    } finally {
      busy.current = false;
    }
  };
  return { run, ...state, clear: () => set({ isBusy: false, error: null }) };
}
