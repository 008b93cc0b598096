// The sentence of health and the six tiles.
import { html } from "../vendor/vendor.js";
import { pageUrl } from "../core/base.js";
import { useFigures } from "../core/figures.js";
import { connection, lostAt } from "../core/live.js";
import { outcomeOf, Shape, Spark } from "../core/shapes.js";
import { now, shortTime, shownZone, Time } from "../core/time.js";
import { count, duration, percent, some } from "../core/words.js";
import { isSilent } from "../lib/nodes.js";

const FAILED = ["error", "timeout", "lost", "denied"];

/** @param {{status: any, attention: import("../core/store.js").Loaded<any>, next: any}} props */
export function Health({ status, attention, next }) {
  const { total, items = [] } = attention.data ?? {};
  const jobs = items.length === total ? new Set(items.map((/** @type {any} */ item) => item.job_id)).size : total; // a job may have two troubles
  const needs = total === undefined ? (attention.isFirst ? "Looking …" : "It is not known which jobs need you.") : total === 0 ? "Nothing needs you." : `${some(jobs, "job needs", "jobs need")} you.`;
  const nodes = status?.nodes ?? [], silent = nodes.filter((/** @type {any} */ node) => isSilent(node, now.value)).length;
  const isPaused = status?.is_paused ?? false, fire = status?.next_fire_iso ?? next?.next_iso;
  return html`<div class="health"><strong>${isPaused ? "The scheduler is paused." : needs}</strong>
    ${nodes.length ? html`<span><a href=${pageUrl("/nodes")} title="A node is a process that runs jobs.">${some(nodes.length - silent, "node")} running</a>${silent ? html`<b class="o-timeout">, ${count(silent)} silent</b>` : null}</span>` : null}
    ${status?.lateness_p99_ms !== null && status?.lateness_p99_ms !== undefined ? html`<span>99 % of fires within <b>${duration(status.lateness_p99_ms)}</b> of their slot</span>` : null}
    ${fire && !isPaused ? html`<span>next fire <b><${Time} at=${fire} relative due /></b></span>` : null}
    ${connection.value === "offline" ? html`<span class="o-timeout">as of ${shortTime(lostAt.value, shownZone())}, before the connection was lost</span>` : null}</div>`;
}

/**
 * @param {{jobs: any, status: any, hour: any, hourAt: number, isLost: boolean}} props hourAt: when `hour` came;
 *   isLost: what is not known could not be read
 */
export function Tiles({ jobs, status, hour, hourAt, isLost }) {
  const since = useFigures(hourAt), group = hour?.groups?.[0], ended = hour?.last_hour ?? {};
  const sum = (/** @type {string[]} */ names) => names.reduce((all, name) => all + (ended[name] ?? 0) + (since.ended[name] ?? 0), 0);
  const runs = sum(["ok", "cancelled", ...FAILED]), failed = sum(FAILED), missed = (group?.totals?.missed ?? 0) + (since.ended.missed ?? 0); // `last_hour` counts runs only
  const series = (/** @type {string[] | null} */ names) => {
    const lists = Object.entries(group?.counts ?? {}).filter(([name]) => (names ? names.includes(name) : outcomeOf(name) !== "missed" && outcomeOf(name) !== "paused" && outcomeOf(name) !== "excluded"));
    return /** @type {number[]} */ ((lists[0]?.[1] ?? []).map((/** @type {number} */ _, /** @type {number} */ i) => lists.reduce((all, [, list]) => all + list[i], 0)));
  };
  const isKnown = hour !== undefined, running = since.inFlight ?? status?.in_flight ?? jobs?.running;
  const unknown = isLost ? null : undefined, pausedBySelf = status?.paused_by_itself;
  return html`<div class="tiles">
    <${Tile} words="Jobs" value=${jobs?.all ?? unknown} note=${jobs ? `${count(jobs.all - jobs.paused)} active` : ""} href=${pageUrl("/jobs")} />
    <${Tile} o="running" words="Running now" value=${running ?? unknown} note=${capacityNote(status)} href=${pageUrl("/jobs", { q: "is:running" })} spark=${series(null)} label="Runs by minute, last hour" />
    <${Tile} o="ok" words="Runs, last hour" value=${isKnown ? runs : unknown} note=${!isKnown ? "" : runs ? `${percent((runs - failed) / runs)} ok` : "none yet"} href=${pageUrl("/runs")} spark=${series(["ok"])} label="Runs that were ok, by minute" />
    <${Tile} o="error" words="Failed, last hour" value=${isKnown ? failed : unknown} note=${jobs ? `${some(jobs.failing, "job")} failing now` : ""} href=${pageUrl("/runs", { outcome: "error,timeout,lost,denied" })} spark=${series(FAILED)} label="Failed runs by minute" isBad=${failed > 0} />
    <${Tile} o="missed" words="Missed, last hour" value=${isKnown ? missed : unknown} note=${jobs ? `${some(jobs.missed, "job")} with gaps` : ""} href=${pageUrl("/jobs", { q: "is:missed" })} spark=${series(["missed"])} label="Missed slots by minute" />
    <${Tile} o="paused" words="Paused" value=${jobs?.paused ?? unknown} note=${pausedBySelf ? `${count(pausedBySelf)} after failures` : jobs ? (jobs.paused ? "until resumed" : "none") : ""} href=${pageUrl("/jobs", { q: "is:paused" })} />
  </div>`;
}

/** @param {any} status */
function capacityNote(status) {
  const capacity = (status?.nodes ?? []).reduce((/** @type {number} */ all, /** @type {any} */ node) => all + (node.capacity ?? 0), 0);
  const queued = status?.queued ? `${count(status.queued)} queued` : "";
  return [capacity ? `up to ${count(capacity)} at once` : "", queued].filter(Boolean).join(", ");
}

/**
 * @param {{o?: string, words: string, value: number | null | undefined, note: string, href: string, spark?: number[], label?: string, isBad?: boolean}} props
 *   value: undefined until it is read, null if it could not be
 */
function Tile({ o, words, value, note, href, spark, label = "", isBad = false }) {
  return html`<a class=${`card tile ${isBad ? "bad" : ""}`} href=${href}><span class=${`tile-key ${o ? `o-${o}` : ""}`}>${o ? html`<${Shape} o=${o} />` : null}${words}</span>
    <span class="tile-middle"><span class="tile-value num">${value === undefined ? html`<i class="wait"></i>` : value === null ? "–" : count(value)}</span>${spark?.some(Boolean) ? html`<${Spark} values=${spark} o=${o} label=${label} />` : null}</span><span class="tile-note cut">${note || "\u00a0"}</span></a>`;
}
