// A job's definition as a form: its fields in the order of the page, and what to send for them.

import { durationToSend, formatDuration, formatParts } from "./duration.js";

/** @typedef {"text" | "mono" | "number" | "duration" | "choice" | "flag" | "moment" | "zone" | "service" | "job" | "calendar" | "payload" | "long" | "tags"} Kind */

/**
 * @typedef {object} FormField
 * @property {string} name the field of the definition
 * @property {string} label
 * @property {Kind} kind
 * @property {string} [hint]
 * @property {number} [span] of six columns
 * @property {[string, string][]} [options] values and words of a choice; the first is the default
 * @property {string[]} [types] the types of jobs that have it
 * @property {boolean} [isQuiet] it is shown on request only: it nearly always has a value
 * @property {boolean} [isUsual] it is always shown; others on request, or when they have a value
 */

/** @typedef {Record<string, string>} Form a text for each field; "" for its default */

/** @typedef {{title: string, fields: FormField[]}} Section */

/** @type {[string, string][]} */
export const JOB_TYPES = [["one_time", "Once"], ["interval_based", "Every …"], ["cron_style", "Cron"]];

const RECURRING = ["interval_based", "cron_style"];
const CRON = ["cron_style"];

/** @type {Section[]} */
export const SECTIONS = [
  {
    title: "What runs",
    fields: [
      { name: "name", label: "Name", kind: "text", span: 3, isUsual: true },
      { name: "service", label: "Service", kind: "service", span: 3, isUsual: true },
      { name: "extra", label: "Payload", kind: "payload", hint: "what the service receives", span: 6, isUsual: true },
      { name: "description", label: "Description", kind: "long", span: 6 },
      { name: "tags", label: "Tags", kind: "tags", hint: "separated by commas", span: 6 },
    ],
  },
  {
    title: "When",
    fields: [
      { name: "every", label: "Every", kind: "duration", hint: "such as 30 s, 15 min or 1 h 30 min", span: 3, types: ["interval_based"], isUsual: true },
      { name: "cron_definition", label: "Cron expression", kind: "mono", hint: "minute · hour · day · month · weekday", span: 3, types: CRON, isUsual: true },
      { name: "start_date", label: "At", kind: "moment", hint: "2026-12-24 18:00, in the time zone; now unless set", span: 3, types: ["one_time"], isUsual: true },
      { name: "timezone", label: "Time zone", kind: "zone", span: 3, isUsual: true },
      { name: "dst_gap", label: "When the clock skips it", kind: "choice", span: 2, types: CRON, isUsual: true, options: [["run_after", "run just after"], ["skip", "do not run"], ["shift", "run later by the gap"]] },
      { name: "dst_fold", label: "When the hour repeats", kind: "choice", span: 2, types: CRON, isUsual: true, options: [["first", "run the first time"], ["last", "run the last time"], ["both", "run both times"]] },
      { name: "calendar", label: "Days off", kind: "calendar", span: 2, types: RECURRING, isUsual: true },
      { name: "on_excluded", label: "On a day off", kind: "choice", span: 2, types: RECURRING, options: [["skip", "do not run"], ["next_day", "run the day after"], ["previous_day", "run the day before"]] },
      { name: "start_date", label: "Not before", kind: "moment", isQuiet: true, hint: "slots lie on a grid from here", span: 2, types: RECURRING },
      { name: "end_date", label: "Not after", kind: "moment", span: 2, types: RECURRING },
      { name: "repeats", label: "At most this many runs", kind: "number", span: 2, types: RECURRING },
      { name: "jitter_ms", label: "Spread starts over", kind: "duration", hint: "each slot keeps its delay", span: 2 },
      { name: "cron_day_and", label: "Both day fields must match", kind: "flag", span: 2, types: CRON },
    ],
  },
  {
    title: "When things go wrong",
    fields: [
      { name: "on_missed", label: "Slots missed while down", kind: "choice", span: 3, isUsual: true, options: [["run_once", "one run for all of them"], ["run_all", "run each of them"], ["skip", "do not run them"]] },
      { name: "on_overlap", label: "Still running when due", kind: "choice", span: 3, types: RECURRING, isUsual: true, options: [["skip", "skip the new one"], ["queue_one", "queue one"], ["queue_all", "queue all"], ["cancel_running", "cancel the running one"], ["allow", "run both"]] },
      { name: "max_execution_time_ms", label: "Longest run", kind: "duration", hint: "1 h unless set", span: 2, isUsual: true },
      { name: "max_retries", label: "Retries", kind: "number", span: 2, isUsual: true },
      { name: "on_error_service", label: "Then invoke", kind: "service", hint: "after a failure", span: 2, isUsual: true },
      { name: "retry_delay_ms", label: "First retry after", kind: "duration", hint: "1 s unless set", span: 2 },
      { name: "retry_backoff", label: "Each later one, times", kind: "number", hint: "2 unless set", span: 2 },
      { name: "retry_max_delay_ms", label: "Longest delay", kind: "duration", hint: "1 h unless set", span: 2 },
      { name: "retry_jitter", label: "Vary the delay by", kind: "number", hint: "0 to 1", span: 2 },
      { name: "catch_up_window_seconds", label: "Catch up no further than", kind: "duration", span: 2 },
      { name: "catch_up_rate", label: "Catch up, runs a second", kind: "number", span: 2 },
      { name: "max_parallel", label: "Runs of it at a time", kind: "number", span: 2 },
      { name: "on_crash", label: "When its process dies", kind: "choice", span: 2, options: [["rerun", "run it again"], ["fail", "close it as lost"]] },
      { name: "max_crashes", label: "Quarantine after crashes", kind: "number", hint: "3 unless set", span: 2 },
      { name: "on_error_job", label: "Then run the job", kind: "job", hint: "after a failure", span: 2 },
      { name: "on_success_service", label: "After success, invoke", kind: "service", span: 2 },
      { name: "on_success_job", label: "After success, run", kind: "job", span: 2 },
      { name: "pause_after_failures", label: "Pause after failures", kind: "number", hint: "in a row", span: 2 },
      { name: "alert_after_intervals", label: "Alert after silence", kind: "number", hint: "slots without a success", span: 2 },
    ],
  },
  {
    title: "Limits and history",
    fields: [
      { name: "priority", label: "Priority", kind: "number", hint: "higher starts first", span: 2 },
      { name: "max_concurrent", label: "Runs of the service", kind: "number", hint: "at a time", span: 2 },
      { name: "keep_runs", label: "Keep runs", kind: "number", span: 2 },
      { name: "keep_days", label: "Keep days", kind: "number", span: 2 },
      { name: "principal", label: "Runs on behalf of", kind: "text", isQuiet: true, hint: "you, unless set", span: 2 },
      { name: "is_active", label: "Active", kind: "flag", span: 2 },
    ],
  },
];

const FIELDS = SECTIONS.flatMap((section) => section.fields);
const DURATIONS = new Set(FIELDS.filter((field) => field.kind === "duration").map((field) => field.name));
const FLAGS = new Set(FIELDS.filter((field) => field.kind === "flag").map((field) => field.name));
const DEFAULT_ON = new Set(["is_active"]);
const PERIOD = ["weeks", "days", "hours", "minutes", "seconds", "milliseconds"];
/** Seconds are the unit of this field, milliseconds of the others. */
const IN_SECONDS = "catch_up_window_seconds";

/** The form of a new job. @returns {Form} */
export function emptyForm() {
  return { job_type: "interval_based", timezone: Intl.DateTimeFormat().resolvedOptions().timeZone, is_active: "true" };
}

/**
 * Return the form of a job's definition.
 *
 * @param {Record<string, unknown>} definition
 * @returns {Form}
 */
export function formOf(definition) {
  /** @type {Form} */
  const form = { job_type: String(definition["job_type"] ?? ""), every: formatParts(definition) };
  for (const { name } of FIELDS) {
    const value = definition[name];
    if (name !== "every" && value !== undefined && value !== null) form[name] = textOf(name, value);
    else if (DEFAULT_ON.has(name)) form[name] = "true";
  }
  return form;
}

/**
 * Return the definition to create from a form.
 *
 * @param {Form} form
 * @returns {Record<string, unknown>}
 */
export function definitionOf(form) {
  /** @type {Record<string, unknown>} */
  const definition = { job_type: form["job_type"] };
  for (const field of fieldsOf(form["job_type"] ?? "")) {
    const value = valueOf(field.name, form[field.name] ?? "");
    if (value !== null && !(FLAGS.has(field.name) && value === DEFAULT_ON.has(field.name))) definition[field.name] = value;
  }
  return definition;
}

/**
 * Return the fields that an edit changes; null clears one.
 *
 * @param {Form} before
 * @param {Form} after
 * @returns {Record<string, unknown>}
 */
export function changesOf(before, after) {
  /** @type {Record<string, unknown>} */
  const changes = {};
  if (before["job_type"] !== after["job_type"]) changes["job_type"] = after["job_type"];
  for (const { name } of fieldsOf(after["job_type"] ?? "")) {
    if ((before[name] ?? "") !== (after[name] ?? "")) changes[name] = valueOf(name, after[name] ?? "");
  }
  return changes;
}

/**
 * Return the fields of a type of job.
 *
 * @param {string} jobType
 */
export function fieldsOf(jobType) {
  return FIELDS.filter((field) => !field.types || field.types.includes(jobType));
}

/**
 * Return the field of the form that shows an error of a field of the definition.
 *
 * @param {string} name
 */
export function placeOf(name) {
  const base = name.split(/[.[]/)[0] ?? "";
  return PERIOD.includes(base) ? "every" : base;
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function textOf(name, value) {
  if (DURATIONS.has(name)) return formatDuration(Number(value) * (name === IN_SECONDS ? 1000 : 1));
  if (Array.isArray(value)) return value.join(", ");
  return String(value);
}

/**
 * @param {string} name
 * @param {string} text
 * @returns {unknown} null for the default
 */
function valueOf(name, text) {
  if (FLAGS.has(name)) return text === "true";
  if (name === "extra") return text === "" ? null : text;
  const value = text.trim();
  if (value === "") return null;
  if (DURATIONS.has(name)) return durationToSend(value);
  if (name === "tags") return value.split(",").map((tag) => tag.trim()).filter(Boolean);
  return value;
}
