// The filter of the list of jobs: what its text means to the services.

import { parseFilter, valueOf, withToken } from "./tokens.js";

export const KEYS = ["service", "is", "tag", "next"];
/** States by which jobs are filtered. */
export const STATES = ["failing", "running", "paused", "missed", "late", "active"];
const SPANS = /** @type {Record<string, number>} */ ({ m: 60_000, h: 3_600_000, d: 86_400_000 });

/**
 * @typedef {object} Selection fields that choose jobs, the same in lists and in bulk services
 * @property {string} [query]
 * @property {string} [service_name]
 * @property {string} [state]
 * @property {string} [tag]
 * @property {string} [next_before]
 */

/**
 * Return the input of the services for a filter, and what of it is not understood.
 *
 * @param {string} text
 * @param {number} now milliseconds since 1970
 * @returns {{input: Selection, problem: string}}
 */
export function readFilter(text, now) {
  const filter = parseFilter(text, KEYS);
  /** @type {Selection} */
  const input = {};
  let problem = "";
  if (filter.words) input.query = filter.words;
  const service = valueOf(filter, "service");
  if (service) input.service_name = service;
  const tag = valueOf(filter, "tag");
  if (tag) input.tag = tag;
  const state = valueOf(filter, "is");
  if (state && STATES.includes(state)) input.state = state;
  else if (state) problem = `“is:${state}” is not known; use ${STATES.map((each) => `is:${each}`).join(", ")}`;
  const next = valueOf(filter, "next");
  const span = /^<?(\d+)([mhd])$/.exec(next ?? "");
  if (span) input.next_before = new Date(now + Number(span[1]) * (SPANS[span[2] ?? ""] ?? 0)).toISOString();
  else if (next) problem = `“next:${next}” is not known; write next:15m, next:2h or next:1d`;
  return { input, problem };
}

/**
 * Return the filter with another state, or without one.
 *
 * @param {string} text
 * @param {string | null} state
 */
export function withState(text, state) {
  return withToken(text, "is", state);
}

/**
 * @param {string} text
 * @returns {string | undefined}
 */
export function stateOf(text) {
  return valueOf(parseFilter(text, KEYS), "is");
}
