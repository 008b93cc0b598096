// Fields of a service's form, by the types of its schema.

import { ChoiceField, TextField } from "../lib/field.js";
import { html } from "../vendor/vendor.js";

/** @param {{input: import("../lib/schema.js").Input, value: string, error: string | undefined, onInput: (value: string) => void}} props */
export function SchemaField({ input, value, error, onInput }) {
  const id = `in-${input.name}`;
  const label = html`<span class="isolate">${input.name}</span>${input.isRequired ? html`<span class="hint">required</span>` : null}`;
  const common = { id, label, value, error, onInput, hint: input.hint || undefined };
  if (input.kind === "boolean") return html`<${ChoiceField} ...${common} cls="half" options=${[...(input.isRequired || input.initial ? [] : [["", "not sent"]]), ["true", "true"], ["false", "false"]]} />`;
  if (input.kind === "enum") return html`<${ChoiceField} ...${common} cls="half" options=${[...(input.isRequired && value ? [] : [["", "not sent"]]), ...input.options.map((option) => [String(option), String(option)])]} />`;
  if (input.kind === "json") return html`<${TextField} ...${common} rows=${3} hint=${common.hint ?? "JSON"} />`;
  return html`<${TextField} ...${common} cls="half" mono=${input.kind !== "string"} attrs=${input.kind === "string" ? {} : { inputmode: "decimal" }} />`;
}
