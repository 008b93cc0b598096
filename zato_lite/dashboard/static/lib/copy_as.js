// An invocation of a service as a command, an HTTP request or Python.

/** @typedef {"CLI" | "curl" | "Python"} Language */

/** @type {readonly Language[]} */
export const LANGUAGES = ["CLI", "curl", "Python"];

/**
 * @param {Language} language
 * @param {string} service
 * @param {unknown} payload a value of JSON
 * @param {{url: string, user: string}} server
 */
export function copyAs(language, service, payload, server) {
  return textAs(language, service, spaced(JSON.stringify(payload)), server);
}

/**
 * Return the invocation with a payload that is JSON text already, so that no number is changed.
 *
 * @param {Language} language
 * @param {string} service
 * @param {string} json
 * @param {{url: string, user: string}} server
 */
export function textAs(language, service, json, server) {
  if (language === "CLI") return `zato-lite invoke ${shellWord(service)} \\\n  ${shellWord(json)}`;
  if (language === "Python") return `await self.invoke("${service}", ${pythonOf(json)})`;
  return [
    `curl -u ${shellWord(server.user)} ${shellWord(`${server.url}/zato/api/invoke/${encodeURIComponent(service)}`)} \\`,
    "  -H 'Content-Type: application/json' \\",
    `  -d ${shellWord(json)}`,
  ].join("\n");
}

/**
 * Add spaces between the members of JSON, where long lines can break.
 *
 * @param {string} json
 */
function spaced(json) {
  return json.replace(/"(?:[^"\\]|\\.)*"|[,:]/g, (token) => (token.length === 1 ? `${token} ` : token));
}

/**
 * Quote a word for a POSIX shell.
 *
 * @param {string} text
 */
export function shellWord(text) {
  return /^[\w.\/:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

const TOKEN = /"(?:[^"\\]|\\.)*"|true|false|null|[^"tfn]+|[tfn]/g;
/** @type {Record<string, string>} */
const CONSTANTS = { true: "True", false: "False", null: "None" };

/**
 * Return JSON as a Python expression: strings and numbers are the same in both.
 *
 * @param {string} json
 */
export function pythonOf(json) {
  return (json.match(TOKEN) ?? []).map((token) => CONSTANTS[token] ?? token.replaceAll("\\/", "/")).join("");
}
