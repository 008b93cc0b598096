// Counts in the rail; pages that know better numbers set them.
import { signal } from "../vendor/vendor.js";

/** Counts by the key of a page. */
export const counts = signal(/** @type {Record<string, number | undefined>} */ ({}));

/**
 * @param {string} page
 * @param {number | undefined} value
 */
export function setCount(page, value) {
  if (counts.peek()[page] !== value) counts.value = { ...counts.peek(), [page]: value };
}
