// What can be done to a job, from its row, its page, by keys and in dialogs.

import { ApiError, invoke } from "../core/api.js";
import { pageUrl } from "../core/base.js";
import { confirm, toast } from "../core/dialog.js";
import { navigate, setQuery } from "../core/router.js";
import { denied, deniedOwn } from "../core/session.js";
import { html, useMemo, useRef, useState } from "../vendor/vendor.js";
import { BackfillDialog } from "./job_backfill.js";
import { CopyDialog } from "./job_copy.js";
import { PauseDialog } from "./job_dialogs.js";

/** @typedef {Record<string, any>} Job */
/** @typedef {"pause" | "backfill" | "copy"} DialogName */

/**
 * @typedef {object} JobActions
 * @property {Record<"run" | "pause" | "resume" | "skip" | "backfill" | "edit" | "create" | "remove", string>} denied reasons
 * @property {(job: Job) => Promise<void>} run
 * @property {(job: Job) => Promise<void>} resume
 * @property {(job: Job) => Promise<void>} skip
 * @property {(job: Job) => Promise<void>} remove
 * @property {(name: DialogName, job: Job) => void} ask open a dialog
 * @property {{name: DialogName, job: Job} | null} asked
 * @property {() => void} close
 * @property {() => Promise<void> | void} done the job has changed
 */

const PREFIX = "zato.scheduler.job.";

/**
 * @param {() => Promise<void> | void} reload
 * @param {() => void} [onRemoved]
 * @returns {JobActions}
 */
export function useJobActions(reload, onRemoved) {
  const [asked, setAsked] = useState(/** @type {JobActions["asked"]} */ (null));
  const latest = useRef({ reload, onRemoved });
  latest.current = { reload, onRemoved };
  const actions = useMemo(() => {
    const done = () => latest.current.reload();
    return { run, resume: after(resume, done), skip: after(skip, done), remove: after(async (/** @type {Job} */ job) => { if (await remove(job)) latest.current.onRemoved?.(); }, done), ask: (/** @type {DialogName} */ name, /** @type {Job} */ job) => setAsked({ name, job }), close: () => setAsked(null), done };
  }, []);
  return useMemo(() => ({ ...actions, asked, denied: reasons() }), [actions, asked]);
}

/**
 * The dialog that is asked for.
 *
 * @param {{actions: JobActions}} props
 */
export function JobDialogs({ actions }) {
  const { asked, close, done } = actions;
  if (!asked) return null;
  const finish = () => {
    close();
    void done();
  };
  const props = { job: asked.job, onClose: close, onDone: finish };
  if (asked.name === "pause") return html`<${PauseDialog} ...${props} />`;
  if (asked.name === "copy") return html`<${CopyDialog} ...${props} />`;
  return html`<${BackfillDialog} ...${props} />`;
}

/**
 * Return the menu of a job.
 *
 * @param {Job} job
 * @param {JobActions} actions
 * @returns {import("../core/dialog.js").MenuItem[]}
 */
export function menuOf(job, actions) {
  const no = actions.denied, isPaused = job.is_active === false;
  return [
    { words: "Run now", icon: "play", keys: "r", denied: no.run, run: () => void actions.run(job) },
    { words: "Invoke with a payload …", icon: "services", denied: deniedOwn(job.service), href: pageUrl(`/services/${encodeURIComponent(job.service)}`, { payload: job.extra || "{}" }) },
    isPaused
      ? { words: "Resume", icon: "play", keys: "p", denied: no.resume, run: () => void actions.resume(job) }
      : { words: "Pause …", icon: "pause", keys: "p", denied: no.pause, run: () => actions.ask("pause", job) },
    { words: job.skip_next ? `Do not skip the next ${job.skip_next}` : "Skip the next slot", icon: "right", denied: no.skip, run: () => void actions.skip(job) },
    { words: "Backfill …", icon: "reload", denied: no.backfill, run: () => actions.ask("backfill", job) },
    { words: "Why …", icon: "help", keys: "w", run: () => setQuery({ why: "latest", why_job: String(job.id) }, { replace: false }) },
    { words: "Edit", icon: "edit", keys: "e", denied: no.edit, href: pageUrl(`/jobs/${job.id}/edit`) },
    { words: "Duplicate", icon: "copy", denied: no.create, href: pageUrl("/jobs/new", { from: job.id }) },
    { words: "Copy as …", icon: "copy", run: () => actions.ask("copy", job) },
    { words: "Delete …", icon: "trash", danger: true, denied: no.remove, run: () => void actions.remove(job) },
  ];
}

/**
 * Return the keys of a job.
 *
 * @param {Job} job
 * @param {JobActions} actions
 * @returns {import("../core/keys.js").KeyBinding[]}
 */
export function actionKeys(job, actions) {
  const no = actions.denied;
  const unless = (/** @type {string} */ reason, /** @type {() => void} */ act) => () => (reason ? toast(`Not possible: ${reason}.`) : act());
  return [
    { keys: "r", words: "Run now", run: unless(no.run, () => void actions.run(job)) },
    { keys: "p", words: "Pause or resume", run: job.is_active === false ? unless(no.resume, () => void actions.resume(job)) : unless(no.pause, () => actions.ask("pause", job)) },
    { keys: "e", words: "Edit", run: unless(no.edit, () => void navigate(`/jobs/${job.id}/edit`)) },
    { keys: "w", words: "Why", run: () => setQuery({ why: "latest", why_job: String(job.id) }, { replace: false }) },
  ];
}

/** @returns {JobActions["denied"]} */
function reasons() {
  const of = (/** @type {string} */ name) => denied(PREFIX + name);
  return { run: of("execute"), pause: of("pause"), resume: of("resume"), skip: of("skip-next"), backfill: of("backfill"), edit: of("edit"), create: of("create"), remove: of("delete") };
}

/** @param {Job} job */
async function run(job) {
  await attempt(`Running ${job.name}`, async () => {
    const { current_run: number } = await invoke(`${PREFIX}execute`, { id: job.id });
    toast(`Run ${number} of ${job.name} has started.`, { words: "Open it", run: () => void navigate(`/jobs/${job.id}/runs/${number}`) });
  });
}

/** @param {Job} job */
async function resume(job) {
  await attempt(`Resuming ${job.name}`, async () => {
    await invoke(`${PREFIX}resume`, { id: job.id });
    toast(`${job.name} is active again.`);
  });
}

/** @param {Job} job */
async function skip(job) {
  await attempt(`Skipping a slot of ${job.name}`, async () => {
    const count = job.skip_next ? 0 : 1;
    await invoke(`${PREFIX}skip-next`, { id: job.id, count });
    toast(count ? `The next slot of ${job.name} is skipped.` : `${job.name} skips no slot.`);
  });
}

/**
 * @param {Job} job
 * @returns {Promise<boolean>} true if it was deleted
 */
async function remove(job) {
  const text = "Its runs stay in the history. This cannot be undone.";
  if (!(await confirm({ title: `Delete ${job.name}?`, text, yes: "Delete the job", danger: true }))) return false;
  return attempt(`Deleting ${job.name}`, async () => {
    await invoke(`${PREFIX}delete`, { id: job.id });
    toast(`${job.name} is deleted.`);
  });
}

/**
 * Run an action; a refusal is shown in the server's words.
 *
 * @param {string} what
 * @param {() => Promise<void>} action
 */
async function attempt(what, action) {
  try {
    await action();
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(`${what} failed: ${error.message}`);
    return false;
  }
}

/**
 * @param {(job: Job) => Promise<void>} action
 * @param {() => Promise<void> | void} done
 */
function after(action, done) {
  return async (/** @type {Job} */ job) => {
    await action(job);
    await done();
  };
}
