// The filter of lists: words, and tokens such as `service:billing.*` or `is:failing`.

/** @typedef {{key: string, value: string, text: string}} Token */

/** @typedef {{tokens: Token[], words: string}} Filter */

const PART = /"([^"]*)"?|(\w+):(?:"([^"]*)"?|(\S*))|(\S+)/g;

/**
 * Split a filter into its tokens with known keys and its other words.
 *
 * @param {string} text
 * @param {readonly string[]} keys known keys
 * @returns {Filter}
 */
export function parseFilter(text, keys) {
  /** @type {Token[]} */
  const tokens = [];
  /** @type {string[]} */
  const words = [];
  for (const found of text.matchAll(PART)) {
    const [whole, quoted, key, quotedValue, value, word] = found;
    if (key !== undefined && keys.includes(key)) tokens.push({ key, value: quotedValue ?? value ?? "", text: whole });
    else words.push(quoted ?? word ?? whole);
  }
  return { tokens, words: words.filter(Boolean).join(" ") };
}

/**
 * @param {Filter} filter
 * @param {string} key
 * @returns {string | undefined} the value of the first token with the key
 */
export function valueOf(filter, key) {
  return filter.tokens.find((token) => token.key === key && token.value !== "")?.value;
}

/**
 * Return the text of a filter with a token set, or removed if the value is null.
 *
 * @param {string} text
 * @param {string} key
 * @param {string | null} value
 */
export function withToken(text, key, value) {
  const others = [...text.matchAll(PART)].filter((found) => found[2] !== key).map((found) => found[0]);
  if (value !== null) others.push(`${key}:${/\s/.test(value) ? `"${value}"` : value}`);
  return others.join(" ");
}

/**
 * Return what can complete the last word of a filter: keys, or the values of its key.
 *
 * @param {string} text the filter up to the caret
 * @param {Record<string, readonly string[]>} values known values by key
 * @param {number} limit
 * @returns {{start: number, options: string[]}} where the word starts, and its completions
 */
export function completions(text, values, limit = 8) {
  const word = /\S*$/.exec(text)?.[0] ?? "";
  const start = text.length - word.length;
  const colon = word.indexOf(":");
  const key = colon < 0 ? "" : word.slice(0, colon);
  const candidates = colon < 0 ? Object.keys(values).map((name) => `${name}:`) : (values[key] ?? []).map((value) => `${key}:${value}`);
  const typed = word.toLowerCase();
  const options = candidates.filter((option) => {
    const lower = option.toLowerCase();
    return lower !== typed && (lower.startsWith(typed) || (colon > 0 && lower.includes(typed.slice(colon + 1), colon + 1)));
  });
  return { start, options: word === "" ? [] : options.slice(0, limit) };
}
