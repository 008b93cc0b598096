// Addresses: all are made from this module's own, so that a proxy may add a prefix to the path.

/** Address of the dashboard, with a slash at its end. */
export const BASE = new URL("../../../", import.meta.url);

/** Address of the server, with a slash at its end. */
export const ROOT = new URL("../", BASE);

/**
 * Make the address of a page.
 * @param {string} path such as "/jobs/7"
 * @param {Record<string, string | number | null | undefined>} [query] empty values are left out
 * @returns {string}
 */
export function pageUrl(path, query) {
  const url = new URL(path.replace(/^\/+/, ""), BASE);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
  }
  return url.pathname + url.search;
}

/**
 * Read a value that this browser keeps.
 * @param {string} name
 * @param {string} fallback
 * @returns {string}
 */
export function remembered(name, fallback) {
  try {
    return localStorage.getItem(`zato-lite.${name}`) ?? fallback;
  } catch {
    return fallback; // the browser keeps nothing for this site
  }
}

/**
 * Keep a value in this browser.
 * @param {string} name
 * @param {string} value
 */
export function remember(name, value) {
  try {
    localStorage.setItem(`zato-lite.${name}`, value);
  } catch {
    // the browser keeps nothing for this site
  }
}
