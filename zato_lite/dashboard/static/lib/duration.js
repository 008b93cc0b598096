// Durations in the words that forms and definitions accept: «90 s», «1 h 30 min», «2 days».

const SECOND = 1000;

/** @typedef {"weeks" | "days" | "hours" | "minutes" | "seconds" | "milliseconds"} Unit */

/** Milliseconds of each unit, the longest first. @type {Record<Unit, number>} */
export const UNITS = {
  weeks: 604_800 * SECOND,
  days: 86_400 * SECOND,
  hours: 3_600 * SECOND,
  minutes: 60 * SECOND,
  seconds: SECOND,
  milliseconds: 1,
};

/** The units, the longest first. */
export const NAMES = /** @type {Unit[]} */ (Object.keys(UNITS));
/** @type {Record<Unit, string>} */
const SHORT = { weeks: "weeks", days: "days", hours: "h", minutes: "min", seconds: "s", milliseconds: "ms" };

/**
 * Write the number of each unit.
 *
 * @param {Partial<Record<Unit, unknown>>} parts
 */
export function formatParts(parts) {
  return NAMES.filter((unit) => parts[unit]).map((unit) => `${parts[unit]} ${shortUnit(unit, parts[unit])}`).join(" ");
}

/**
 * Write milliseconds exactly.
 *
 * @param {number} ms
 */
export function formatDuration(ms) {
  /** @type {Partial<Record<Unit, number>>} */
  const parts = {};
  let left = ms;
  for (const unit of NAMES.slice(1)) {
    const count = unit === "milliseconds" ? left : Math.floor(left / UNITS[unit]);
    if (count) parts[unit] = count;
    left -= count * UNITS[unit];
  }
  return formatParts(parts) || "0 s";
}

/**
 * Return what to send for a duration: a bare number means seconds to people.
 *
 * @param {string} text
 */
export function durationToSend(text) {
  return /^\s*\d+(\.\d+)?\s*$/.test(text) ? `${text.trim()} s` : text;
}

/**
 * @param {Unit} unit
 * @param {unknown} count
 */
function shortUnit(unit, count) {
  return Number(count) === 1 ? SHORT[unit].replace(/^(week|day)s$/, "$1") : SHORT[unit];
}
