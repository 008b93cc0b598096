// The session: who is signed in and what they may do.
import { signal } from "../vendor/vendor.js";
import { ApiError, endSignIn, request, waitForSignIn } from "./api.js";

/**
 * @typedef {object} Session
 * @property {string} name
 * @property {string[]} roles
 * @property {string[]} patterns of services, for who is confined
 * @property {string[]} may built-in services that may be invoked
 * @property {Record<string, string>} may_not the role that is lacking for the others
 * @property {string} version
 * @property {string | null} expires
 */

/** The session; null when nobody is signed in, undefined before the first answer. */
export const session = signal(/** @type {Session | null | undefined} */ (undefined));

/** A sentence on why the first answer did not come. */
export const sessionTrouble = signal("");

const ORDER = ["viewer", "operator", "editor", "admin"];

/** Ask the server who is signed in. */
export async function loadSession() {
  try {
    session.value = (await request("GET", "zato/session")).data;
    sessionTrouble.value = "";
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401 && session.value) void waitForSignIn(); // the page stays as it is
    else if (error.status === 401) session.value = null;
    else sessionTrouble.value = error.message;
  }
}

/**
 * Sign in; calls that wait for it go on.
 * @param {string} username
 * @param {string} password
 */
export async function signIn(username, password) {
  const answer = await request("POST", "zato/session", JSON.stringify({ username, password }));
  session.value = answer.data;
  endSignIn();
}

/**
 * Sign out; with `everywhere`, end all sessions of the user.
 * @param {boolean} [everywhere]
 */
export async function signOut(everywhere = false) {
  await request("DELETE", everywhere ? "zato/session?all" : "zato/session");
  session.value = null;
}

/** Return the highest role of the session. */
export function role() {
  const roles = session.value?.roles ?? [];
  return ORDER.findLast((name) => roles.includes(name)) ?? "";
}

/**
 * Say why the session may not invoke a service; empty if it may. Controls are shown disabled
 * with this reason: `<${Button} denied=${denied("zato.scheduler.job.create")}>`.
 * @param {string | string[]} services one, or several that are all needed
 * @returns {string}
 */
export function denied(services) {
  const now = session.value;
  if (!now) return "sign in first";
  for (const name of Array.isArray(services) ? services : [services]) {
    if (now.may.includes(name)) continue;
    const lacking = now.may_not[name];
    if (lacking === undefined) return "this server does not offer it";
    if (lacking === "patterns") return `your access is confined to ${now.patterns.join(", ")}`;
    return `needs ${lacking}; you are ${role() || "without a role"}`;
  }
  return "";
}

/**
 * Say the same as a sentence, for a page that is not shown.
 * @param {string | string[]} services
 * @returns {string}
 */
export function deniedSentence(services) {
  const reason = denied(services);
  if (!reason) return "";
  return `${reason.startsWith("needs ") ? `This ${reason}` : reason[0].toUpperCase() + reason.slice(1)}.`;
}

/** Return the patterns that confine the session; empty if it may see everything. */
export function confines() {
  return (session.value?.patterns ?? []).join(", ");
}

/**
 * Return true if the session may invoke a built-in service.
 * @param {string} service
 */
export function may(service) {
  return denied(service) === "";
}

/**
 * Say why the session may not invoke one of the project's services; empty if it may.
 * @param {string} service
 * @returns {string}
 */
export function deniedOwn(service) {
  if (service in (session.value?.may_not ?? {}) || session.value?.may.includes(service)) return denied(service);
  if (ORDER.indexOf(role()) < ORDER.indexOf("operator")) return `needs operator; you are ${role() || "without a role"}`;
  const patterns = session.value?.patterns ?? [];
  if (patterns.length && !patterns.some((pattern) => asExpression(pattern).test(service))) {
    return `your access is confined to ${patterns.join(", ")}`;
  }
  return "";
}

/** @param {string} pattern */
function asExpression(pattern) {
  const text = pattern.replace(/[.+^${}()|\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".").replaceAll("[!", "[^");
  try {
    return new RegExp(`^${text}$`);
  } catch {
    return /^$/;
  }
}
