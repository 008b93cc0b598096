// Sentences of the server: instants in them are shown in the chosen zone.

import { Time } from "../core/time.js";
import { html } from "../vendor/vendor.js";

const INSTANT = /(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2}))/;

/**
 * @param {{text: string, zone?: string | undefined, isWhole?: boolean}} props isWhole: with a capital and a full stop
 */
export function Sentence({ text, zone, isWhole = true }) {
  const whole = isWhole ? text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".") : text;
  return html`<span class="isolate">${whole.split(INSTANT).map((part, index) => (index % 2 ? html`<${Time} key=${index} at=${part} zone=${zone} />` : part))}</span>`;
}
