// A field of a form: its label, hint and error, said together by screen readers.

import { Shape } from "../core/shapes.js";
import { html } from "../vendor/vendor.js";

/**
 * @typedef {object} FieldProps
 * @property {string} id of the control
 * @property {any} label
 * @property {any} [hint]
 * @property {string} [error]
 * @property {string} [cls]
 * @property {any} children
 */

/** @param {FieldProps} props */
export function Field({ id, label, hint, error, cls = "", children }) {
  return html`<div class=${`field ${cls}`}><label for=${id}>${label}</label>${children}${
    error ? html`<span class="field-error" id=${`${id}-error`}><${Shape} o="error" /><span>${error}</span></span>` : null}${
    hint ? html`<span class="hint" id=${`${id}-hint`}>${hint}</span>` : null}</div>`;
}

/**
 * Return the ids that describe a control.
 *
 * @param {string} id
 * @param {any} hint
 * @param {string | undefined} error
 */
export function describedBy(id, hint, error) {
  return [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ") || undefined;
}

/**
 * A field with a text.
 *
 * @param {{id: string, label: any, value: string, onInput: (value: string) => void, hint?: any, error?: string | undefined, cls?: string,
 *   type?: string, rows?: number, placeholder?: string, mono?: boolean, autofocus?: boolean, autocomplete?: string, attrs?: Record<string, any>}} props
 */
export function TextField({ id, label, value, onInput, hint, error, cls, type = "text", rows, placeholder, mono = false, autofocus, autocomplete = "off", attrs }) {
  const common = {
    id, value, placeholder, autofocus, autocomplete, "aria-invalid": error ? "true" : undefined, "aria-describedby": describedBy(id, hint, error), spellcheck: false,
    onInput: (/** @type {any} */ event) => isSame(type, event.target.value, value) || onInput(event.target.value), ...attrs,
  };
  return html`<${Field} id=${id} label=${label} hint=${hint} error=${error} cls=${cls}>${rows
    ? html`<textarea rows=${rows} ...${common}></textarea>`
    : html`<input type=${type} class=${mono ? "mono" : ""} ...${common} />`}<//>`;
}

/**
 * Return true if a text says the same as the one before: Firefox writes a time in its own way when the field is left.
 *
 * @param {string} type
 * @param {string} text
 * @param {string} before
 */
function isSame(type, text, before) {
  return type === "datetime-local" && Date.parse(text) === Date.parse(before);
}

/**
 * A field with a choice.
 *
 * @param {{id: string, label: any, value: string, onInput: (value: string) => void, options: [string, string][], hint?: any, error?: string | undefined, cls?: string}} props
 */
export function ChoiceField({ id, label, value, onInput, options, hint, error, cls }) {
  return html`<${Field} id=${id} label=${label} hint=${hint} error=${error} cls=${cls}>
    <select id=${id} value=${value} aria-invalid=${error ? "true" : undefined} aria-describedby=${describedBy(id, hint, error)} onChange=${(/** @type {any} */ event) => onInput(event.target.value)}>
      ${options.map(([key, words]) => html`<option key=${key} value=${key} selected=${key === value}>${words}</option>`)}</select><//>`;
}

/**
 * Return the messages of an error by the names of their fields.
 *
 * @param {import("../core/api.js").ApiError | null} error
 * @returns {Record<string, string>}
 */
export function messagesOf(error) {
  return Object.fromEntries((error?.errors ?? []).map(({ field, message }) => [field, withoutField(field, message)]));
}

/**
 * Return a message without the name of the field at its start: the label says it.
 *
 * @param {string} field
 * @param {string} message
 */
export function withoutField(field, message) {
  if (message.startsWith("Missing required input element")) return "This field is required.";
  const text = message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message;
  return text.charAt(0).toUpperCase() + text.slice(1);
}
