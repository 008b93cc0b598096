// Runs of all jobs: filtered by outcome, service, job and time; many retried or cancelled together.

import { invoke } from "../core/api.js";
import { confirm, toast } from "../core/dialog.js";
import { place, setQuery } from "../core/router.js";
import { denied } from "../core/session.js";
import { Page } from "../core/shell.js";
import { useAction } from "../core/store.js";
import { Button, Empty, ErrorBox, Segments } from "../core/ui.js";
import { count, some } from "../core/words.js";
import { Completing } from "../lib/complete.js";
import { completions, parseFilter, valueOf } from "../lib/tokens.js";
import { html, useMemo, useRef, useState } from "../vendor/vendor.js";
import { RunsList } from "./runs_table.js";
import { useService } from "../core/store.js";
import { useKeys } from "../core/keys.js";
import { serverNow } from "../core/api.js";

const KEYS = ["service", "node", "kind"];
const KINDS = ["scheduled", "manual", "backfill", "retry", "callback"];
/** Spans: key, words, milliseconds. @type {[string, string, number][]} */
const SPANS = [["", "All", 0], ["1h", "1 h", 3_600_000], ["24h", "24 h", 86_400_000], ["7d", "7 d", 604_800_000]];

/** @param {{query: Record<string, string>}} props */
export default function RunsPage({ query }) {
  const text = query["q"] ?? "", span = query["span"] ?? "", outcomes = (query["outcome"] ?? "").split(",").filter(Boolean);
  const minute = Math.floor(serverNow() / 60_000);
  const input = useMemo(() => inputOf(text, span, minute * 60_000), [text, span, minute]);
  const selection = useChosenRuns(JSON.stringify([text, span, outcomes]));
  const filter = useRef(/** @type {HTMLDivElement | null} */ (null));
  useKeys([{ keys: "f", words: "Filter", run: () => filter.current?.querySelector("input")?.focus() }]);
  return html`<${Page} title="Runs">
    <div class="filter-bar" ref=${filter}><${RunFilter} text=${text} /><${Segments} label="Slots of the latest" options=${SPANS.map(([key, words]) => [key, words])} value=${span} onChange=${(/** @type {string} */ key) => setQuery({ span: key || null }, { replace: false })} /></div>
    <${RunsList} title="Runs of all jobs" relevant=${(/** @type {any} */ event) => isOfFilter(event.data, input)} hasJob input=${input} outcomes=${outcomes} selection=${selection} onOutcomes=${(/** @type {string[]} */ chosen) => setQuery({ outcome: chosen.join(",") || null }, { replace: false })}
      empty=${html`<${Empty} title=${text || span ? "No run matches." : "No run yet."} actions=${(text || span) && html`<${Button} onClick=${() => setQuery({ q: null, span: null }, { replace: false })}>Clear the filter<//>`}>${text || span ? "" : "Runs appear here as jobs get them."}<//>`} />
    ${selection.count > 0 && html`<${RunBulk} selection=${selection} />`}
  <//>`;
}

/**
 * @param {string} text
 * @param {string} span
 * @param {number} now
 */
function inputOf(text, span, now) {
  const filter = parseFilter(text, KEYS), ms = SPANS.find(([key]) => key === span)?.[2] ?? 0;
  const service = valueOf(filter, "service"), node = valueOf(filter, "node"), kind = valueOf(filter, "kind");
  return { ...(filter.words && { query: filter.words }), ...(service && { service_name: service }), ...(node && { node }), ...(kind && { kind }), ...(ms && { since: new Date(now - ms).toISOString() }) };
}

/**
 * Return true if the filter may show a run, as far as its event says.
 *
 * @param {Record<string, any>} run
 * @param {Record<string, any>} input
 */
function isOfFilter(run, { query = "", service_name: service = "" }) {
  const name = String(run.job_name).toLowerCase();
  return query.toLowerCase().split(/\s+/).every((/** @type {string} */ word) => name.includes(word)) && (!service || service.includes("*") || service === run.service);
}

/** @param {{text: string}} props */
function RunFilter({ text }) {
  const [typed, setTyped] = useState(text);
  const sent = useRef(text);
  if (sent.current !== text) {
    sent.current = text;
    if (typed.trim() !== text) setTyped(text);
  }
  const services = useService("zato.service.get-list", {});
  const values = useMemo(() => ({ service: (services.data ?? []).map((/** @type {any} */ each) => each.name), kind: KINDS, node: /** @type {string[]} */ ([]) }), [services.data]);
  const change = (/** @type {string} */ value) => {
    setTyped(value);
    sent.current = value.trim();
    setQuery({ q: value.trim() || null });
  };
  return html`<div class="filter"><${Completing} label="Filter runs" placeholder="Words of the job's name, or service: kind: node:" value=${typed} onInput=${change} complete=${(/** @type {string} */ before) => completions(before, values)} hint="F" /></div>`;
}

/**
 * The chosen runs; another filter chooses none.
 *
 * @param {string} key
 */
function useChosenRuns(key) {
  const [chosen, setChosen] = useState(/** @type {{key: string, runs: ReadonlyMap<number, any>}} */ ({ key, runs: new Map() }));
  const runs = chosen.key === key ? chosen.runs : new Map();
  const set = (/** @type {Map<number, any>} */ next) => setChosen({ key, runs: next });
  return {
    count: runs.size,
    runs: [...runs.values()],
    clear: () => set(new Map()),
    table: (/** @type {any[]} */ rows) => ({
      has: (/** @type {any} */ run) => runs.has(run.run_id),
      toggle: (/** @type {any} */ run) => {
        const next = new Map(runs);
        if (!next.delete(run.run_id)) next.set(run.run_id, run);
        set(next);
      },
      isAll: runs.size > 0 && runs.size === rows.length,
      toggleAll: () => set(runs.size ? new Map() : new Map(rows.map((run) => [run.run_id, run]))),
      allLabel: runs.size ? "Select none" : `Select all ${count(rows.length)} that are shown`,
    }),
  };
}

/** @param {{selection: ReturnType<typeof useChosenRuns>}} props */
function RunBulk({ selection }) {
  const open = selection.runs.filter((run) => run.outcome === "running"), ended = selection.runs.filter((run) => run.outcome !== "running");
  const act = useAction(async (/** @type {string} */ service, /** @type {any[]} */ runs, /** @type {string} */ done) => {
    const answer = await invoke(`zato.scheduler.job.${service}`, { run_ids: runs.map((run) => run.run_id) });
    toast(`${some(answer.count, "run")} ${done}.`);
    selection.clear();
  });
  const cancel = async () => {
    if (await confirm({ title: `Cancel ${some(open.length, "run")}?`, text: "Their services are stopped where they wait next.", yes: "Cancel them", no: "Let them run", danger: true })) await act.run("cancel-many", open, "cancelled");
  };
  const retry = async () => {
    if (await confirm({ title: `Retry ${some(ended.length, "run")}?`, text: "The slot of each is run again, as a new run.", yes: "Retry them" })) await act.run("retry-many", ended, "retried");
  };
  return html`<div class="bulk" role="region" aria-label="What to do with the selected"><b class="num" role="status">${count(selection.count)} selected</b>
    <${Button} small busy=${act.isBusy} denied=${denied("zato.scheduler.job.retry-many") || (ended.length ? "" : "none of them has ended")} onClick=${retry}>Retry …<//>
    <${Button} small busy=${act.isBusy} denied=${denied("zato.scheduler.job.cancel-many") || (open.length ? "" : "none of them is running")} onClick=${cancel}>Cancel …<//>
    <${Button} small label="Select none" onClick=${selection.clear}>Esc<//></div><${ErrorBox} error=${act.error} />`;
}
