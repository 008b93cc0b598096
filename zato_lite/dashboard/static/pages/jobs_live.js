// The list of jobs while runs start and end: rows change in place, and never move under the pointer.

import { onEvents } from "../core/live.js";
import { instant } from "../core/time.js";
import { isChange } from "../lib/changes.js";
import { useEffect, useRef, useState } from "../vendor/vendor.js";

const FAILURES = new Set(["error", "timeout", "lost", "denied"]);
const KEPT = 30;
const RELOAD_MS = 15_000;

/**
 * @param {import("../lib/pages.js").Pages} pages
 * @param {boolean} hasSelection
 * @returns {{isHeld: boolean, bind: Record<string, () => void>}} held back while the pointer is over the rows
 */
export function useLiveRows(pages, hasSelection) {
  const [isHeld, setHeld] = useState(false);
  const latest = useRef({ pages, hasSelection, isOver: false, isOld: false });
  latest.current = { ...latest.current, pages, hasSelection };
  useEffect(() => {
    const end = onEvents(["run-started", "run-ended", "job-changed", "jobs-changed", "next", "change"], (events) => {
      const changes = byJob(events);
      if (changes.size) latest.current.pages.patch((row) => (changes.get(row.id) ?? []).reduce(changed, row));
      if (events.some(isChange)) latest.current.isOld = true;
    });
    const timer = setInterval(() => {
      const { isOver, isOld, hasSelection: isChosen } = latest.current;
      if (!isOld || document.hidden) return;
      if (isOver || isChosen) setHeld(true);
      else {
        latest.current.isOld = false;
        setHeld(false);
        void latest.current.pages.reload();
      }
    }, RELOAD_MS);
    return () => {
      end();
      clearInterval(timer);
    };
  }, []);
  useEffect(() => { setHeld(false); }, [pages.answer]);
  return { isHeld, bind: { onPointerEnter: () => { latest.current.isOver = true; }, onPointerLeave: () => { latest.current.isOver = false; } } };
}

/**
 * @param {import("../core/live.js").LiveEvent[]} events
 * @returns {Map<number, import("../core/live.js").LiveEvent[]>}
 */
function byJob(events) {
  const found = new Map();
  for (const event of events) {
    const id = event.data.job_id;
    if (id === undefined) continue;
    if (!found.has(id)) found.set(id, []);
    found.get(id).push(event);
  }
  return found;
}

/**
 * Return a row after an event.
 *
 * @param {any} row
 * @param {import("../core/live.js").LiveEvent} event
 */
export function changed(row, { kind, data }) {
  if (kind === "next") return { ...row, next_iso: data.next_utc };
  if (kind === "run-started") return { ...row, in_flight: (row.in_flight ?? 0) + 1, last_iso: data.started_iso ?? data.slot };
  if (kind !== "run-ended" || data.state === "waiting") return row;
  const isFailure = FAILURES.has(data.outcome), next = data.next_utc ?? row.next_iso;
  const wasShown = row.state === "failing" || row.state === "running" || row.state === "active";
  return {
    ...row,
    in_flight: Math.max(0, (row.in_flight ?? 1) - 1),
    last_outcome: data.outcome,
    failures: isFailure ? (row.failures ?? 0) + 1 : 0,
    state: wasShown ? (isFailure ? "failing" : "active") : row.state,
    outcomes: [...(row.outcomes ?? []), [data.outcome, data.duration_ms]].slice(-KEPT),
    next_iso: instant(next) === null ? row.next_iso : next,
  };
}
