// Router: the path names the page, the query holds everything else that is seen.
import { signal } from "../vendor/vendor.js";
import { BASE, pageUrl } from "./base.js";

/**
 * @typedef {object} Place
 * @property {string} path below the dashboard, such as "/jobs/7"
 * @property {Record<string, string>} query
 */

/** The page that is shown and its query. */
export const place = signal(read());

/** If the heading of the next page is to get the focus, by which a screen reader says that the page is another one. */
export const arrival = { isDue: false };

/** A function that asks before a page with unsaved changes is left; returns true to leave. */
export const leaveGuard = signal(/** @type {null | (() => boolean | Promise<boolean>)} */ (null));

/** @returns {Place} */
function read() {
  const path = location.pathname.startsWith(BASE.pathname) ? location.pathname.slice(BASE.pathname.length - 1) : "/";
  return { path: decoded(path), query: Object.fromEntries(new URLSearchParams(location.search)) };
}

/** @param {string} path */
function decoded(path) {
  try {
    return decodeURI(path);
  } catch {
    return path; // not written by these pages
  }
}

/**
 * Go to a page.
 * @param {string} path such as "/jobs/7", or the href of a link
 * @param {Record<string, string | number | null | undefined>} [query]
 * @param {{replace?: boolean, force?: boolean}} [options] force: without asking about changes
 */
export async function navigate(path, query, options = {}) {
  const target = path.startsWith(BASE.pathname) && query === undefined ? path : pageUrl(path, query);
  if (!options.force && leaveGuard.value && !(await leaveGuard.value())) return;
  leaveGuard.value = null;
  if (target === location.pathname + location.search) return;
  keepScroll();
  history[options.replace ? "replaceState" : "pushState"]({ y: 0 }, "", target);
  const before = place.value.path;
  place.value = read();
  if (!options.replace && place.value.path !== before) {
    scrollTo(0, 0);
    arrival.isDue = true;
  }
}

/**
 * Change parts of the query; null or "" removes one. Typing replaces the entry of the history,
 * a choice adds one.
 * @param {Record<string, string | number | null | undefined>} changes
 * @param {{replace?: boolean}} [options]
 */
export function setQuery(changes, options = { replace: true }) {
  const query = { ...place.value.query, ...changes };
  const target = pageUrl(place.value.path, query);
  if (target === location.pathname + location.search) return;
  if (options.replace) history.replaceState(history.state, "", target);
  else {
    keepScroll();
    history.pushState({ y: scrollY }, "", target);
  }
  place.value = read();
}

/** Take over clicks on links to pages, and the browser's Back. */
export function startRouter() {
  history.scrollRestoration = "manual";
  addEventListener("popstate", async (event) => {
    if (leaveGuard.value) { // stay until the question is answered
      const guard = leaveGuard.value;
      history.pushState({ y: scrollY }, "", pageUrl(place.value.path, place.value.query));
      if (!(await guard())) return;
      leaveGuard.value = null;
      history.back();
      return;
    }
    place.value = read();
    scrollBack(event.state?.y ?? 0);
  });
  if (history.state?.y) scrollBack(history.state.y); // reloaded
  addEventListener("beforeunload", (event) => {
    keepScroll();
    if (leaveGuard.value) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (!link.pathname.startsWith(BASE.pathname) || link.hash) return;
    event.preventDefault();
    void navigate(link.pathname + link.search);
  });
}

const RESTORING_MS = 15_000;
const MOVES = ["wheel", "touchstart", "pointerdown", "keydown"];

/**
 * Scroll to where a page was, as soon as it has the rows for that and unless its user scrolls first.
 * @param {number} y
 */
function scrollBack(y) {
  const ends = performance.now() + RESTORING_MS, stop = new AbortController();
  for (const move of MOVES) addEventListener(move, () => stop.abort(), { signal: stop.signal, passive: true, capture: true });
  const restore = () => {
    if (stop.signal.aborted) return;
    scrollTo(0, y);
    if (Math.abs(scrollY - y) > 2 && performance.now() < ends) requestAnimationFrame(restore);
    else stop.abort();
  };
  requestAnimationFrame(restore);
}

function keepScroll() {
  history.replaceState({ ...history.state, y: scrollY }, "");
}

/**
 * Match a path with a pattern such as "/jobs/:id/:tab?".
 * @param {string} pattern
 * @param {string} path
 * @returns {Record<string, string> | null} the parameters
 */
export function match(pattern, path) {
  const wanted = pattern.split("/").filter(Boolean), given = path.split("/").filter(Boolean);
  /** @type {Record<string, string>} */
  const params = {};
  if (given.length > wanted.length) return null;
  for (const [i, part] of wanted.entries()) {
    const value = given[i];
    if (part.startsWith(":")) {
      if (value === undefined && !part.endsWith("?")) return null;
      if (value !== undefined) params[part.replace(/^:|\?$/g, "")] = value;
    } else if (part !== value) return null;
  }
  return params;
}
