// The log of a run, line by line while it runs.

import { ROOT } from "../core/base.js";
import { useEffect, useRef, useState } from "../vendor/vendor.js";

/** @typedef {{timestamp_iso: string, level: string, message: string}} LogLine */

/**
 * @typedef {object} Log
 * @property {LogLine[]} lines
 * @property {"connecting" | "following" | "lost" | "ended"} state
 */

const LEVELS = /** @type {Record<string, number>} */ ({ DEBUG: 0, INFO: 1, SYSTEM: 1, WARNING: 2, ERROR: 3, CRITICAL: 3 });

/** Levels to choose from, with the least level that each shows. @type {[string, string, number][]} */
export const CHOICES = [["all", "All", 0], ["info", "Info", 1], ["warn", "Warnings", 2], ["error", "Errors", 3]];

/**
 * Follow the log of a run to its end.
 *
 * @param {number} jobId
 * @param {number} run
 * @returns {Log}
 */
export function useLog(jobId, run) {
  const [, rerender] = useState(0);
  const log = useRef(/** @type {Log} */ ({ lines: [], state: "connecting" }));
  useEffect(() => {
    /** @type {Log} */
    const current = { lines: [], state: "connecting" };
    log.current = current;
    let frame = 0;
    const show = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        rerender((n) => n + 1);
      });
    };
    const source = new EventSource(new URL(`zato/events/log?job_id=${jobId}&current_run=${run}`, ROOT));
    source.addEventListener("line", (event) => {
      current.lines.push(JSON.parse(event.data));
      current.state = "following";
      show();
    });
    source.addEventListener("end", () => {
      current.state = "ended";
      source.close();
      show();
    });
    source.onerror = () => {
      if (current.state !== "ended") current.state = source.readyState === EventSource.CLOSED && current.lines.length ? "ended" : "lost";
      show();
    };
    show();
    return () => {
      source.close();
      cancelAnimationFrame(frame);
    };
  }, [jobId, run]);
  return log.current;
}

/**
 * Return the lines of a level and above that contain a text.
 *
 * @param {LogLine[]} lines
 * @param {string} level a key of CHOICES
 * @param {string} text
 */
export function chosenLines(lines, level, text) {
  const least = CHOICES.find(([key]) => key === level)?.[2] ?? 0;
  const wanted = text.trim().toLowerCase();
  return lines.filter((line) => rank(line.level) >= least && (!wanted || line.message.toLowerCase().includes(wanted)));
}

/**
 * Return the number of a level.
 *
 * @param {string} level
 */
export function rank(level) {
  return LEVELS[level] ?? 1;
}
