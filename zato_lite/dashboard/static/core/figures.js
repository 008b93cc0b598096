// Figures between two answers of the server: its events count what has ended since.
import { useEffect, useState } from "../vendor/vendor.js";
import { onEvents } from "./live.js";

/** @typedef {{inFlight: number | null, ended: Record<string, number>}} Figures */

/**
 * Count what has ended since an answer came, and say how many runs are in flight.
 * @param {number} since when the answer came; a new answer starts the count again
 * @returns {Figures}
 */
export function useFigures(since) {
  const [figures, set] = useState(/** @type {Figures} */ ({ inFlight: null, ended: {} }));
  useEffect(() => {
    set(({ inFlight }) => ({ inFlight, ended: {} }));
    return onEvents(["figures"], (events) => set((old) => events.reduce((all, { data }) => added(all, data), old)));
  }, [since]);
  return figures;
}

/** @param {Figures} all @param {any} data @returns {Figures} */
function added(all, data) {
  const ended = { ...all.ended };
  for (const [name, n] of Object.entries({ ...data.ended, ...(data.missed ? { missed: data.missed } : {}) })) ended[name] = (ended[name] ?? 0) + Number(n);
  return { inFlight: data.in_flight ?? all.inFlight, ended };
}
