// Events that mean that something has changed: reading is recorded as an event too, where it is audited.

const READS = /\.(get|check|validate|why|export|is)[-\w]*$/;

/**
 * Return true if a service only reads.
 *
 * @param {string} service
 */
export function isRead(service) {
  return READS.test(service);
}

/**
 * Return true if an event reports a change.
 *
 * @param {import("../core/live.js").LiveEvent} event
 */
export function isChange({ kind, data }) {
  return kind !== "change" || !isRead(data.service ?? "");
}
