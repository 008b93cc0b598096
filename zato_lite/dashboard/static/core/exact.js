// JSON without loss: numbers that JavaScript would round are kept as they are written.

/** A number as it is written. */
export class Exact {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
  toString() {
    return this.text;
  }
}

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
// Random, so that no text of others can pass for a number.
const MARK = `exact-${crypto.getRandomValues(new Uint32Array(3)).join("-")}:`;
const MARKED = new RegExp(`"${MARK}([^"]*)"`, "g");

/**
 * Parse JSON. Integers beyond 2^53 become Exact; with `all`, every number that would be written
 * differently does, such as 1.0 or 1e5.
 * @param {string} text
 * @param {boolean} [all]
 * @returns {any}
 */
export function parse(text, all = false) {
  if (!all && !/\d{16}/.test(text)) return JSON.parse(text);
  const marked = text.replace(TOKEN, (token) => {
    if (token[0] === '"' || isKept(token, all)) return token;
    return `"${MARK}${token}"`;
  });
  return JSON.parse(marked, (_, value) =>
    typeof value === "string" && value.startsWith(MARK) ? new Exact(value.slice(MARK.length)) : value,
  );
}

/**
 * @param {string} token
 * @param {boolean} all
 */
function isKept(token, all) {
  const number = Number(token);
  return all ? String(number) === token : !Number.isInteger(number) || Number.isSafeInteger(number);
}

/**
 * Write JSON; Exact numbers are written as they were.
 * @param {any} value
 * @param {number} [indent]
 * @returns {string}
 */
export function stringify(value, indent) {
  const text = JSON.stringify(value, (_, item) => (item instanceof Exact ? MARK + item.text : item), indent);
  return text === undefined ? "" : text.replace(MARKED, "$1");
}

/**
 * Return JSON text in a readable form without changing a number; other text as it is.
 * @param {string} text
 * @returns {string}
 */
export function pretty(text) {
  try {
    return stringify(parse(text, true), 2);
  } catch {
    return text;
  }
}
