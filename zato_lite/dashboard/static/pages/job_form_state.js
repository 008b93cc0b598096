// The state of a job's form: what is typed, what the server says of it, and saving it.

import { ApiError, invoke } from "../core/api.js";
import { toast } from "../core/dialog.js";
import { leaveGuard, navigate } from "../core/router.js";
import { useAction } from "../core/store.js";
import { changesOf, definitionOf, fieldsOf, formOf, placeOf } from "../lib/definition.js";
import { withoutField } from "../lib/field.js";
import { useEffect, useMemo, useRef, useState } from "../vendor/vendor.js";
import { rareSlots } from "./job_upcoming.js";

/** @typedef {import("../lib/definition.js").Form} Form */
/** @typedef {{values: Form, version: number, by: Record<string, unknown>}} Theirs the job as others have saved it */

const PREFIX = "zato.scheduler.job.";
const SETTLE_MS = 250;
const REST_MS = 800;
const SLOTS = 10;
const MOST_SPECIAL = 100;
const REQUIRED = "This field is required.";
const HOW_OFTEN = "Say how often: 30 s, 15 min, 1 h 30 min.";

/**
 * @param {number | null} id of the job to edit; null for a new one
 * @param {Form} opened
 * @param {number | undefined} openedVersion
 */
export function useJobForm(id, opened, openedVersion) {
  const [base, setBase] = useState({ start: opened, version: openedVersion });
  const [values, setValues] = useState(opened);
  const [touched, setTouched] = useState(/** @type {ReadonlySet<string>} */ (new Set()));
  const [isTried, setTried] = useState(false);
  const [typing, type] = useTyping();
  const [theirs, setTheirs] = useState(/** @type {Theirs | null} */ (null));
  const [refused, setRefused] = useState(/** @type {{values: Form, errors: Record<string, string>} | null} */ (null));
  const payload = useMemo(() => (id === null ? definitionOf(values) : changesOf(base.start, values)), [id, values, base]);
  const check = useChecked(id, payload, base.version);
  const isChanged = id === null ? JSON.stringify(values) !== JSON.stringify(opened) : Object.keys(payload).length > 0;

  const found = refused?.values === values ? { ...check.errors, ...refused.errors } : check.errors;
  const isShown = (/** @type {string} */ name, /** @type {string} */ message) => isTried || touched.has(name) || (message !== REQUIRED && (values[name] ?? "") !== "");
  const errors = Object.fromEntries(Object.entries(found).filter(([name, message]) => name !== "version" && (isTried || name !== typing) && isShown(name, message)));
  const known = new Set(["job_type", ...fieldsOf(values["job_type"] ?? "").map(({ name }) => name)]);
  const elsewhere = Object.entries(errors).filter(([name]) => !known.has(name));

  const save = useAction(async (/** @type {boolean} */ isRunToo) => {
    setTried(true);
    if (Object.keys(check.errors).some((name) => name !== "version") || (id !== null && !isChanged)) return focusFirstError();
    try {
      const answer = await invoke(`${PREFIX}${id === null ? "create" : "edit"}`, id === null ? payload : { id, version: base.version, ...payload });
      leaveGuard.value = null;
      if (isRunToo) await invoke(`${PREFIX}execute`, { id: answer.id });
      toast(id === null ? `${answer.name} is created${isRunToo ? " and runs" : ""}.` : `${answer.name} is saved${isRunToo ? " and runs" : ""}.`);
      await navigate(`/jobs/${answer.id}`, {}, { force: true });
    } catch (error) {
      if (error instanceof ApiError && error.status === 409 && id !== null && !error.errors.length) setTheirs(await readTheirs(id, base.start));
      else if (error instanceof ApiError && error.errors.length) setRefused({ values, errors: byPlace(error.errors) });
      else throw error;
      focusFirstError();
    }
    return undefined;
  });
  return {
    values, start: base.start, payload, errors, save, isChanged, theirs, check,
    isChecking: check.isChecking,
    wrongElsewhere: elsewhere.map(([name, message]) => `${name}: ${message}`).join(" "),
    saveError: save.error ?? (elsewhere.length ? new ApiError(1, elsewhere.map(([name, message]) => `${name}: ${message}`).join(" ")) : null),
    set: (/** @type {string} */ name, /** @type {string} */ value) => {
      type(name);
      setValues((now) => ({ ...now, [name]: value }));
    },
    touch: (/** @type {string} */ name) => {
      type("");
      if (!touched.has(name)) setTouched(new Set([...touched, name]));
    },
    /** Put the changes of this form on top of what others have saved. */
    keepMine: () => {
      if (!theirs) return;
      const mine = Object.fromEntries(Object.keys(values).filter((name) => (values[name] ?? "") !== (base.start[name] ?? "")).map((name) => [name, values[name] ?? ""]));
      setBase({ start: theirs.values, version: theirs.version });
      setValues({ ...theirs.values, ...mine });
      setTheirs(null);
    },
    takeTheirs: () => {
      if (!theirs) return;
      setBase({ start: theirs.values, version: theirs.version });
      setValues(theirs.values);
      setTheirs(null);
    },
  };
}

/**
 * The field in which somebody is typing: its errors wait until the typing rests.
 *
 * @returns {[string, (name: string) => void]}
 */
function useTyping() {
  const [name, setName] = useState(""), timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (/** @type {string} */ typed) => {
    clearTimeout(timer.current);
    setName(typed);
    if (typed) timer.current = setTimeout(() => setName(""), REST_MS);
  };
  return [name, type];
}

/**
 * What the server says of the fields: errors, words and slots; the latest answer stays until the next.
 *
 * @param {number | null} id
 * @param {Record<string, unknown>} payload
 * @param {number | undefined} version
 */
function useChecked(id, payload, version) {
  const [state, setState] = useState(/** @type {{errors: Record<string, string>, answer: any, words: string, slots: any[], special: any[], isChecking: boolean, problem: string, isCurrent: boolean}} */ (
    { errors: {}, answer: null, words: "", slots: [], special: [], isChecking: true, problem: "", isCurrent: false }));
  const asked = useRef(0);
  useEffect(() => {
    asked.current += 1;
    const mine = asked.current;
    setState((now) => ({ ...now, isChecking: true }));
    const timer = setTimeout(async () => {
      const own = id === null ? payload : { id, ...payload };
      const [checked, problem] = await answerOf(`${PREFIX}validate`, { ...own, ...(id !== null && version !== undefined && { version }) });
      if (mine !== asked.current) return;
      const errors = checked ? byPlace(checked.errors) : {};
      setState((now) => ({ ...now, answer: checked ?? now.answer, errors: checked ? errors : now.errors, isChecking: false, problem, isCurrent: false }));
      if (!checked || Object.keys(errors).some((name) => WHEN.has(name))) return;
      const schedule = id === null ? scheduleOf(payload) : own;
      const [[next], [special]] = await Promise.all([
        answerOf(`${PREFIX}get-upcoming`, { ...schedule, count: SLOTS }),
        answerOf(`${PREFIX}get-upcoming`, { ...schedule, count: MOST_SPECIAL, only_remarkable: true }),
      ]);
      if (mine !== asked.current) return;
      setState((now) => ({ ...now, words: next?.words ?? now.words, slots: next?.slots ?? now.slots, special: rareSlots(special?.slots ?? [], 6), isCurrent: Boolean(next) }));
    }, SETTLE_MS);
    return () => clearTimeout(timer);
  }, [id, version, JSON.stringify(payload)]);
  return state;
}

/**
 * Return the answer of a service, or what is wrong.
 *
 * @param {string} service
 * @param {Record<string, unknown>} input
 * @returns {Promise<[any, string]>}
 */
async function answerOf(service, input) {
  try {
    return [await invoke(service, input), ""];
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return [null, error.message];
  }
}

/** Fields that say when: a preview needs no others. */
const WHEN = new Set(["job_type", "every", "cron_definition", "start_date", "end_date", "timezone", "dst_gap", "dst_fold", "calendar", "on_excluded", "cron_day_and", "jitter_ms", "repeats"]);

/** @param {Record<string, unknown>} payload */
function scheduleOf(payload) {
  return Object.fromEntries(Object.entries(payload).filter(([name]) => WHEN.has(name)));
}

/**
 * @param {{field: string, message: string}[]} errors
 * @returns {Record<string, string>}
 */
function byPlace(errors) {
  return Object.fromEntries(errors.map(({ field, message }) => [placeOf(field), message.startsWith("At least one of") ? HOW_OFTEN : withoutField(field, message)]));
}

/**
 * @param {number} id
 * @param {Form} start
 * @returns {Promise<Theirs>}
 */
async function readTheirs(id, start) {
  const job = await invoke(`${PREFIX}get-by-id`, { id }), values = formOf(job);
  return { values, version: job.version, by: changesOf(start, values) };
}

function focusFirstError() {
  requestAnimationFrame(() => {
    const place = /** @type {HTMLElement | null} */ (document.querySelector(".conflict, .job-form [aria-invalid=true]"));
    place?.focus();
    place?.scrollIntoView({ block: "center" });
  });
}
