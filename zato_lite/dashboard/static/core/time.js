// Times: each is shown in the chosen zone, and says it in its title.
import { html, signal } from "../vendor/vendor.js";
import { remember, remembered } from "./base.js";
import { serverNow } from "./api.js";
import { relative } from "./words.js";

/** @typedef {"job" | "mine" | "utc"} ZoneMode */

/** The zone of this browser. */
export const MINE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/** Zones to choose from; a browser in UTC has only two. */
export const MODES = /** @type {ZoneMode[]} */ (/^(Etc\/)?(UTC|GMT)$/.test(MINE) ? ["job", "mine"] : ["job", "mine", "utc"]);

/** The zone that times are shown in: the job's own, this browser's, or UTC. */
export const zoneMode = signal(/** @type {ZoneMode} */ (remembered("zone", "mine")));
if (!MODES.includes(zoneMode.value)) zoneMode.value = "mine";

/** The server's time in milliseconds, a new value each second while the page is seen. */
export const now = signal(serverNow());

/** Let `now` run. */
export function startClock() {
  setInterval(() => { if (!document.hidden) now.value = serverNow(); }, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) now.value = serverNow(); });
}

/** @param {ZoneMode} mode */
export function setZoneMode(mode) {
  zoneMode.value = mode;
  remember("zone", mode);
}

/** Choose the next of the zones. */
export function nextZoneMode() {
  setZoneMode(MODES[(MODES.indexOf(zoneMode.value) + 1) % MODES.length]);
  return zoneMode.value;
}

/**
 * Return the zone in which to show a time of a job; without a job's zone, "job" is UTC.
 * @param {string} [jobZone]
 */
export function shownZone(jobZone) {
  if (zoneMode.value === "utc") return "UTC";
  return zoneMode.value === "mine" ? MINE : jobZone || "UTC";
}

/**
 * "Warsaw" for "Europe/Warsaw".
 * @param {string} zone
 */
export function zoneName(zone) {
  return zone.slice(zone.lastIndexOf("/") + 1).replaceAll("_", " ");
}

/**
 * Read a time: milliseconds, or an ISO text, which is UTC unless it says its offset.
 * @param {number | string | null | undefined} at
 * @returns {number | null}
 */
export function instant(at) {
  if (at === null || at === undefined || at === "") return null;
  if (typeof at === "number") return at;
  const text = at.includes("T") ? at : at.replace(" ", "T");
  const ms = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
  return Number.isNaN(ms) ? null : ms;
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/**
 * Format an instant in a zone; formats are kept, since making one is slow.
 * @param {number} ms
 * @param {string} zone
 * @param {Intl.DateTimeFormatOptions} options
 */
export function format(ms, zone, options) {
  const key = zone + JSON.stringify(options);
  let known = formats.get(key);
  if (known === undefined) {
    known = makeFormat(zone, options);
    formats.set(key, known);
  }
  return known.format(ms);
}

/**
 * @param {string} zone
 * @param {Intl.DateTimeFormatOptions} options
 */
function makeFormat(zone, options) {
  try {
    return new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", timeZone: zone, ...options });
  } catch {
    return new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", timeZone: "UTC", ...options }); // a zone this browser lacks
  }
}

const HM = /** @type {const} */ ({ hour: "2-digit", minute: "2-digit" });
const HMS = /** @type {const} */ ({ ...HM, second: "2-digit" });
const DAY = /** @type {const} */ ({ weekday: "short", day: "numeric", month: "short" });
const DATE = /** @type {const} */ ({ day: "numeric", month: "short", year: "numeric" });

/**
 * "Fri 4 Dec" in a year around now, else "4 Dec 2031".
 * @param {number} ms
 * @param {string} zone
 * @param {number} [today] now, in milliseconds
 */
export function shortDay(ms, zone, today = serverNow()) {
  return format(ms, zone, Math.abs(ms - today) < 300 * 86_400_000 ? DAY : DATE).replace(",", "");
}

/**
 * "20:05:00" today, "Fri 4 Dec 11:35" in a year around now, else "4 Dec 2031 11:35".
 * @param {number} ms
 * @param {string} zone
 * @param {number} [today] now, in milliseconds
 */
export function shortTime(ms, zone, today = serverNow()) {
  if (dayOf(ms, zone) === dayOf(today, zone)) return format(ms, zone, HMS);
  return `${shortDay(ms, zone, today)} ${format(ms, zone, HM)}`;
}

/**
 * "2026-11-28", for comparisons.
 * @param {number} ms
 * @param {string} zone
 */
export function dayOf(ms, zone) {
  return format(ms, zone, { year: "numeric", month: "2-digit", day: "2-digit" }).split("/").reverse().join("-");
}

/**
 * "Sat 28 Nov 2026, 20:05:00.250 Europe/Warsaw (UTC+1)".
 * @param {number} ms
 * @param {string} zone
 */
export function longTime(ms, zone) {
  const offset = format(ms, zone, { timeZoneName: "shortOffset" }).split(" ").pop()?.replace("GMT", "UTC") ?? "";
  const day = format(ms, zone, { weekday: "short", day: "numeric", month: "short", year: "numeric" }).replace(",", "");
  const fraction = ms % 1000 ? `.${String(Math.floor(((ms % 1000) + 1000) % 1000)).padStart(3, "0")}` : "";
  return `${day}, ${format(ms, zone, HMS)}${fraction} ${zone}${zone === "UTC" ? "" : ` (${offset})`}`;
}

/**
 * A title with the time in all zones that matter.
 * @param {number} ms
 * @param {string} [jobZone]
 */
export function titleOf(ms, jobZone) {
  const zones = new Set([shownZone(jobZone), ...(jobZone ? [jobZone] : []), MINE, "UTC"]);
  return [...zones].map((zone) => longTime(ms, zone)).join("\n");
}

/**
 * A time: absolute, or with `relative` "in 38 s", always with the whole in its title.
 * @param {{at: number | string | null | undefined, zone?: string, relative?: boolean, empty?: string,
 *          withZone?: boolean, due?: boolean}} props zone: the job's own; due: a past time is "now"
 */
export function Time({ at, zone, relative: isRelative = false, empty = "–", withZone = false, due = false }) {
  const ms = instant(at);
  if (ms === null) return html`<span class="muted">${empty}</span>`;
  const shown = shownZone(zone);
  const text = isRelative ? relative(due ? Math.max(0, ms - now.value) : ms - now.value) : shortTime(ms, shown, now.value);
  return html`<time datetime=${new Date(ms).toISOString()} title=${titleOf(ms, zone)}>${text}${
    withZone && !isRelative ? html` <span class="muted">${zoneName(shown)}</span>` : null}</time>`;
}
