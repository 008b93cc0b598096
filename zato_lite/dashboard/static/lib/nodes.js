// Nodes: which of them are silent.
import { instant } from "../core/time.js";

/** A node reports at least once a minute; after this time without a report it is shown as silent. */
const SILENT_MS = 150_000;

/**
 * Return true if a node has not reported for too long.
 *
 * @param {{seen?: string | null}} node
 * @param {number} at
 */
export function isSilent(node, at) {
  return at - (instant(node.seen) ?? at) > SILENT_MS;
}
