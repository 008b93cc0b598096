// Calls of services. A call that finds the session ended waits for the sign-in and is repeated.
import { signal } from "../vendor/vendor.js";
import { ROOT } from "./base.js";
import { parse, stringify } from "./exact.js";

/** @typedef {{field: string, value: any, message: string}} FieldError */

/** An error of the server in its own words, or of the connection (status 0). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} message
   * @param {string} [cid]
   * @param {FieldError[]} [errors]
   * @param {any} [body] the whole answer
   */
  constructor(status, message, cid = "", errors = [], body = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.cid = cid;
    this.errors = errors;
    this.body = body;
  }
  get isOffline() {
    return this.status === 0;
  }
}

/** Milliseconds that the server's clock is ahead of the browser's. */
export let clockOffset = 0;

/** Calls in flight, for the tests and for the bar. */
export const pending = signal(0);

/** Resolves when somebody has signed in again; null while nobody has to. */
export const signInNeeded = signal(/** @type {{done: () => void, promise: Promise<void>} | null} */ (null));

let signIns = 0;

/** Let the calls go on that wait for a sign-in. */
export function endSignIn() {
  signIns += 1;
  signInNeeded.value?.done();
  signInNeeded.value = null;
}

/** Ask for a sign-in over the page; resolves after it. */
export function waitForSignIn() {
  if (signInNeeded.value === null) {
    let done = () => {};
    const promise = new Promise((/** @type {(value: void) => void} */ resolve) => { done = resolve; });
    signInNeeded.value = { done, promise };
  }
  return signInNeeded.value.promise;
}

/**
 * Invoke a service and return its answer.
 * @param {string} name
 * @param {Record<string, any>} [input]
 * @param {{signal?: AbortSignal, exact?: boolean}} [options] exact: keep each number as written
 * @returns {Promise<any>}
 */
export async function invoke(name, input = {}, options = {}) {
  return (await invokeFully(name, input, options)).data;
}

/**
 * Invoke a service and return the answer with its text, correlation id and duration.
 * @param {string} name
 * @param {any} [input] a value, or JSON text as it is
 * @param {{signal?: AbortSignal, exact?: boolean}} [options]
 * @returns {Promise<{data: any, text: string, cid: string, status: number, took: number}>}
 */
export async function invokeFully(name, input = {}, options = {}) {
  const body = typeof input === "string" ? input : stringify(input);
  const path = `zato/api/invoke/${encodeURIComponent(name)}`;
  for (;;) {
    try {
      return await request("POST", path, body, options);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      await waitForSignIn();
    }
  }
}

/**
 * Send a request to the server; paths are relative to its root.
 * @param {string} method
 * @param {string} path
 * @param {string} [body]
 * @param {{signal?: AbortSignal, exact?: boolean}} [options]
 * @returns {Promise<{data: any, text: string, cid: string, status: number, took: number}>}
 */
export async function request(method, path, body, options = {}) {
  const began = performance.now(), before = signIns;
  pending.value += 1;
  try {
    const answer = await fetch(new URL(path, ROOT), {
      method,
      body,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      signal: options.signal,
      cache: "no-store",
      credentials: "same-origin",
    });
    const text = await answer.text();
    if (answer.status === 401 && before !== signIns) return await request(method, path, body, options); // of before the sign-in
    readClock(answer.headers.get("date"));
    const cid = answer.headers.get("x-zato-cid") ?? "";
    if (!answer.ok) throw errorOf(answer.status, text, cid);
    return { data: bodyOf(text, options.exact ?? false), text, cid, status: answer.status, took: performance.now() - began };
  } catch (error) {
    if (error instanceof TypeError) throw new ApiError(0, "The server cannot be reached.");
    throw error;
  } finally {
    pending.value -= 1;
  }
}

/**
 * @param {string} text
 * @param {boolean} exact
 */
function bodyOf(text, exact) {
  if (text === "") return null;
  try {
    return parse(text, exact);
  } catch {
    return text; // a service may answer anything
  }
}

/**
 * @param {number} status
 * @param {string} text
 * @param {string} cid
 */
function errorOf(status, text, cid) {
  try {
    const body = parse(text);
    return new ApiError(status, sentence(body.details) || text, body.cid ?? cid, body.errors ?? [], body);
  } catch {
    return new ApiError(status, text || `The server answered with status ${status}.`, cid);
  }
}

/** @param {any} details */
function sentence(details) {
  if (Array.isArray(details)) return details.join("; ");
  return typeof details === "string" ? details : "";
}

/** @param {string | null} date */
function readClock(date) {
  const at = date === null ? NaN : Date.parse(date) + 500;
  if (Number.isNaN(at)) return;
  const offset = at - Date.now();
  clockOffset = Math.abs(offset) > 2000 ? offset : 0; // the field has whole seconds
}

/** Return the server's time in milliseconds since 1970. */
export function serverNow() {
  return Date.now() + clockOffset;
}
