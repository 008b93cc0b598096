// Sentences of the server: instants in them are shown in the chosen zone.

import { Time } from "../core/time.js";
import { html } from "../vendor/vendor.js";

/** ISO 8601, or as in the reasons of slots: 2026-11-29 02:27:26 UTC. */
const INSTANT = /(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2}| UTC))/;

/**
 * @param {{text: string, zone?: string | undefined, isWhole?: boolean}} props isWhole: with a capital and a full stop
 */
export function Sentence({ text, zone, isWhole = true }) {
  const whole = isWhole ? text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".") : text;
  return html`<span class="isolate">${whole.split(INSTANT).map((part, index) => (index % 2 ? html`<${Time} key=${index} at=${part.replace(" UTC", "Z")} zone=${zone} />` : part))}</span>`;
}
