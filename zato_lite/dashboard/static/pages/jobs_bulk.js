// Many jobs at a time: the chosen ones, or all that the filter matches, by their expected number.

import { ApiError, invoke } from "../core/api.js";
import { Dialog, toast } from "../core/dialog.js";
import { denied } from "../core/session.js";
import { useAction } from "../core/store.js";
import { Button, ErrorBox } from "../core/ui.js";
import { count, some } from "../core/words.js";
import { html, useMemo, useRef, useState } from "../vendor/vendor.js";
import { inputOf, PauseFields } from "./job_dialogs.js";

/** @typedef {import("../lib/jobs_filter.js").Selection} Filter */

/**
 * @typedef {object} Selected
 * @property {number} count
 * @property {boolean} isAll all that match, also those that are not loaded
 * @property {() => Record<string, unknown>} input of the bulk services
 * @property {() => void} clear
 * @property {(total: number) => void} expect another number of matching jobs
 * @property {import("../lib/table.js").Selection} table
 */

/** @typedef {{name: string, service: string, words: string, done: string, verb: string, isDanger?: boolean, text: string}} Deed */

/** @type {Deed[]} */
const DEEDS = [
  { name: "run", service: "execute-many", words: "Run now", verb: "Run", done: "started", text: "Each gets a run now, even if it is paused. Their slots stay as they are." },
  { name: "pause", service: "pause-many", words: "Pause …", verb: "Pause", done: "paused", text: "No slot of theirs gets a run while they are paused." },
  { name: "resume", service: "resume-many", words: "Resume", verb: "Resume", done: "resumed", text: "They run again from their next slots on." },
  { name: "skip", service: "skip-many", words: "Skip next", verb: "Skip the next slot of", done: "skip their next slot", text: "The next slot of each gets no run." },
  { name: "delete", service: "delete-many", words: "Delete …", verb: "Delete", done: "deleted", isDanger: true, text: "Their runs stay in the history. This cannot be undone." },
];

/**
 * @param {Filter} filter
 * @param {number} total
 * @param {(index: number) => any} rowAt
 * @returns {Selected}
 */
export function useSelection(filter, total, rowAt) {
  const [ids, setIds] = useState(/** @type {ReadonlySet<number>} */ (new Set()));
  const [all, setAll] = useState(/** @type {{filter: string, expected: number} | null} */ (null));
  const anchor = useRef(/** @type {any} */ (null));
  const key = JSON.stringify({ ...filter, next_before: undefined });
  const isAll = all !== null && all.filter === key;
  const clear = () => {
    setIds(new Set());
    setAll(null);
  };
  const toggle = (/** @type {any} */ row, /** @type {boolean} */ isRange) => {
    const next = new Set(isAll ? loaded(total, rowAt).map((each) => each.id) : ids);
    const isOn = !next.has(row.id);
    const rows = isRange && anchor.current ? between(anchor.current, row, total, rowAt) : [row];
    for (const each of rows) next[isOn ? "add" : "delete"](each.id);
    anchor.current = row;
    setAll(null);
    setIds(next);
  };
  const number = isAll ? all.expected : ids.size;
  return useMemo(() => ({
    count: number,
    isAll,
    clear,
    expect: (/** @type {number} */ expected) => setAll({ filter: key, expected }),
    input: () => (isAll ? { ...filter, expected: number } : { ids: [...ids] }),
    table: {
      has: (/** @type {any} */ row) => isAll || ids.has(row.id),
      toggle,
      isAll,
      toggleAll: () => (isAll || ids.size ? clear() : setAll({ filter: key, expected: total })),
      allLabel: number ? "Select none" : `Select all ${count(total)} that match`,
    },
  }), [ids, all, key, total]);
}

/** @param {{selection: Selected, onDone: () => Promise<void>}} props */
export function BulkBar({ selection, onDone }) {
  const [deed, setDeed] = useState(/** @type {Deed | null} */ (null));
  const finish = async () => {
    setDeed(null);
    selection.clear();
    await onDone();
  };
  return html`<div class="bulk" role="region" aria-label="What to do with the selected"><b class="num" role="status">${count(selection.count)} selected</b>
    ${DEEDS.map((each) => html`<${Button} key=${each.name} small denied=${denied(`zato.scheduler.job.${each.service}`)} onClick=${() => setDeed(each)}>${each.words}<//>`)}
    <${Button} small label="Select none" onClick=${selection.clear}>Esc<//></div>
    ${deed && html`<${BulkDialog} deed=${deed} selection=${selection} onClose=${() => setDeed(null)} onDone=${finish} />`}`;
}

/** @param {{deed: Deed, selection: Selected, onClose: () => void, onDone: () => Promise<void>}} props */
function BulkDialog({ deed, selection, onClose, onDone }) {
  const [pause, setPause] = useState({ note: "", until: "" });
  const act = useAction(async () => {
    const answer = await invoke(`zato.scheduler.job.${deed.service}`, { ...selection.input(), ...(deed.name === "pause" && inputOf(pause)) });
    toast(`${some(answer.count, "job")} ${deed.done}.`);
    await onDone();
  });
  const recount = useAction(async () => {
    const { expected: _, ...filter } = selection.input();
    const answer = await invoke("zato.scheduler.job.get-list", { ...filter, include: [], page_size: 1 });
    selection.expect(answer.total);
    act.clear();
  });
  const hasGrown = act.error instanceof ApiError && act.error.status === 409 && selection.isAll;
  const what = some(selection.count, "job");
  return html`<${Dialog} title=${`${deed.verb} ${what}?`} onClose=${onClose} onSubmit=${act.run} actions=${html`
    <${Button} onClick=${onClose}>Cancel<//><${Button} kind=${deed.isDanger ? "danger" : "primary"} type="submit" busy=${act.isBusy} onClick=${act.run}>${deed.verb} ${what}<//>`}>
    <p>${selection.isAll ? html`All <b>${what}</b> that the filter matches now. A job that comes to match later is not touched.` : html`The <b>${what}</b> you have chosen.`} ${deed.text}</p>
    ${deed.name === "pause" && html`<${PauseFields} value=${pause} onInput=${setPause} errors=${{}} />`}
    <${ErrorBox} error=${act.error ?? recount.error} />
    ${hasGrown && html`<${Button} small busy=${recount.isBusy} onClick=${recount.run}>Count again<//>`}<//>`;
}

/**
 * @param {number} total
 * @param {(index: number) => any} rowAt
 * @returns {any[]}
 */
function loaded(total, rowAt) {
  const rows = [];
  for (let index = 0; index < total; index += 1) {
    const row = rowAt(index);
    if (row) rows.push(row);
  }
  return rows;
}

/**
 * @param {any} first
 * @param {any} last
 * @param {number} total
 * @param {(index: number) => any} rowAt
 */
function between(first, last, total, rowAt) {
  const rows = loaded(total, rowAt);
  const [from, to] = [rows.findIndex(({ id }) => id === first.id), rows.findIndex(({ id }) => id === last.id)].sort((a, b) => a - b);
  return rows.slice(Math.max(0, from ?? 0), (to ?? 0) + 1);
}
