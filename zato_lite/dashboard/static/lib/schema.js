// JSON Schemas as forms. Values stay texts until they are joined to JSON, so that no number is changed.

/** @typedef {Record<string, any>} Schema */

/**
 * @typedef {object} Input
 * @property {string} name
 * @property {"string" | "integer" | "number" | "boolean" | "enum" | "json"} kind
 * @property {boolean} isRequired
 * @property {unknown[]} options values of an enumeration
 * @property {string} hint
 * @property {string} initial the text of the default
 */

/**
 * Return the inputs of a schema of an object; null if a form cannot show it.
 *
 * @param {Schema} schema
 * @returns {Input[] | null}
 */
export function inputsOf(schema) {
  const resolved = resolve(schema, schema);
  const properties = resolved["properties"];
  if (!properties || typeof properties !== "object") return null;
  const required = new Set(Array.isArray(resolved["required"]) ? resolved["required"] : []);
  return Object.entries(properties).map(([name, property]) => inputOf(name, resolve(property, schema), required.has(name)));
}

/**
 * Join the texts of a form to the JSON text of an object; empty optional fields are left out.
 *
 * @param {Input[]} inputs
 * @param {Record<string, string>} values
 * @returns {{json: string, errors: Record<string, string>}}
 */
export function jsonOf(inputs, values) {
  /** @type {Record<string, string>} */
  const errors = {};
  /** @type {string[]} */
  const members = [];
  for (const input of inputs) {
    const text = values[input.name] ?? "";
    if (text === "" && !(input.kind === "string" && input.isRequired)) {
      if (input.isRequired) errors[input.name] = "This field is required.";
      continue;
    }
    const error = errorOf(input, text);
    if (error) errors[input.name] = error;
    members.push(`${JSON.stringify(input.name)}: ${memberOf(input, text)}`);
  }
  return { json: `{${members.join(", ")}}`, errors };
}

/**
 * Return an error of text that should be JSON, or "" if it is.
 *
 * @param {string} text
 */
export function jsonError(text) {
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    return `This is not JSON: ${error instanceof Error ? error.message : error}`;
  }
}

/** Values of formats of texts. @type {Record<string, string>} */
const SAMPLES = { date: "2026-12-24", time: "18:00:00", "date-time": "2026-12-24T18:00:00+01:00", duration: "PT15M" };

/**
 * @param {string} name
 * @param {Schema} property
 * @param {boolean} isRequired
 * @returns {Input}
 */
function inputOf(name, property, isRequired) {
  const kind = kindOf(property);
  const options = Array.isArray(property["enum"]) ? property["enum"] : [];
  const fallback = property["default"];
  const example = property["example"] ?? property["examples"]?.[0];
  const sample = example === undefined ? SAMPLES[property["format"]] : plain(example);
  const hint = [property["description"], limitsOf(property), sample && `such as ${sample}`].filter(Boolean).join(" · ");
  const initial = fallback === undefined || fallback === null ? "" : kind === "string" || kind === "enum" ? String(fallback) : JSON.stringify(fallback);
  return { name, kind, isRequired, options, hint, initial };
}

/**
 * @param {Schema} property
 * @returns {Input["kind"]}
 */
function kindOf(property) {
  if (Array.isArray(property["enum"])) return "enum";
  const type = Array.isArray(property["type"]) ? property["type"].find((each) => each !== "null") : property["type"];
  return ["string", "integer", "number", "boolean"].includes(type) ? type : "json";
}

/**
 * Follow references, and take the one type of a union with null.
 *
 * @param {Schema} schema
 * @param {Schema} root
 * @returns {Schema}
 */
function resolve(schema, root, depth = 0) {
  if (depth > 20) return {};
  const reference = schema["$ref"];
  if (typeof reference === "string" && reference.startsWith("#/")) {
    /** @type {any} */
    let target = root;
    for (const part of reference.slice(2).split("/")) target = target?.[part.replaceAll("~1", "/").replaceAll("~0", "~")];
    const { $ref, ...others } = schema;
    return { ...resolve(target ?? {}, root, depth + 1), ...others };
  }
  const arms = schema["anyOf"] ?? schema["oneOf"];
  if (Array.isArray(arms)) {
    const kept = arms.filter((arm) => arm["type"] !== "null");
    if (kept.length === 1) return { ...schema, ...resolve(kept[0], root, depth + 1) };
  }
  return schema;
}

/** @param {Schema} property */
function limitsOf(property) {
  const { minimum, maximum, minLength, maxLength } = property;
  if (minimum !== undefined && maximum !== undefined && Math.abs(maximum) < 1e15) return `${minimum} to ${maximum}`;
  if (minimum !== undefined && Math.abs(minimum) < 1e15) return `at least ${minimum}`;
  if (minLength && maxLength) return `${minLength} to ${maxLength} characters`;
  return "";
}

/** @param {unknown} value */
function plain(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/**
 * @param {Input} input
 * @param {string} text
 */
function errorOf(input, text) {
  if (input.kind === "integer" && !/^\s*-?(0|[1-9]\d*)\s*$/.test(text)) return "A whole number is expected.";
  if (input.kind === "number" && !/^\s*-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?\s*$/.test(text)) return "A number is expected.";
  return input.kind === "json" ? jsonError(text) : "";
}

/**
 * @param {Input} input
 * @param {string} text
 */
function memberOf(input, text) {
  if (input.kind === "string") return JSON.stringify(text);
  if (input.kind === "enum") return JSON.stringify(input.options.find((option) => String(option) === text) ?? text);
  return text.trim();
}
