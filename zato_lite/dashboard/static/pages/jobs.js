// The list of jobs: found by tokens, sorted by the server, changed one by one or all that match.

import { serverNow } from "../core/api.js";
import { pageUrl } from "../core/base.js";
import { setCount } from "../core/counts.js";
import { useKeys } from "../core/keys.js";
import { place, setQuery } from "../core/router.js";
import { denied } from "../core/session.js";
import { OutcomeMark } from "../core/shapes.js";
import { Page } from "../core/shell.js";
import { useService } from "../core/store.js";
import { Button, Chip, Empty, ErrorBox, Skeleton } from "../core/ui.js";
import { count, some } from "../core/words.js";
import { Completing } from "../lib/complete.js";
import { KEYS, readFilter, STATES, stateOf, withState } from "../lib/jobs_filter.js";
import { usePages } from "../lib/pages.js";
import { VirtualTable } from "../lib/table.js";
import { completions } from "../lib/tokens.js";
import { html, useEffect, useMemo, useRef, useState } from "../vendor/vendor.js";
import { actionKeys, JobDialogs, useJobActions } from "./job_actions.js";
import { BulkBar, useSelection } from "./jobs_bulk.js";
import { columnsOf } from "./jobs_columns.js";
import { FirstJob } from "./jobs_first.js";
import { useLiveRows } from "./jobs_live.js";
import { TransferButtons } from "./jobs_transfer.js";

const SORTS = /** @type {Record<string, string>} */ ({ name: "name", next: "next run", last: "latest run", failed: "failures", duration: "duration" });
const CHIPS = ["failing", "running", "paused", "missed", "late"];

/** @param {{query: Record<string, string>}} props */
export default function JobsPage({ query }) {
  const text = query["q"] ?? "", sort = query["sort"] ?? "name", dir = query["dir"] ?? "asc";
  const minute = Math.floor(serverNow() / 60_000);
  const { input, problem } = useMemo(() => readFilter(text, minute * 60_000), [text, minute]);
  const pages = usePages("zato.scheduler.job.get-list", { ...input, sort, dir, include: ["words", "outcomes", "durations"] });
  const selection = useSelection(input, pages.total ?? 0, pages.rowAt);
  const actions = useJobActions(pages.reload);
  const { isHeld, bind } = useLiveRows(pages, selection.count > 0);
  const filter = useRef(/** @type {HTMLDivElement | null} */ (null));
  const isNarrowed = Object.keys(input).some((key) => key !== "state");
  useEffect(() => { if (!isNarrowed) setCount("jobs", pages.answer?.counts.all); }, [pages.answer]);
  useKeys([
    { keys: "f", words: "Filter", run: () => filter.current?.querySelector("input")?.focus() },
    ...(selection.count ? [{ keys: "Escape", words: "Select none", run: selection.clear }] : []),
  ]);
  const columns = useMemo(() => columnsOf(actions), [actions]);
  return html`<${Page} title="Jobs" actions=${html`<${TransferButtons} input=${input} onDone=${pages.reload} /><${Button} kind="primary" href=${pageUrl("/jobs/new")} denied=${denied("zato.scheduler.job.create")}>New job<//>`}>
    <div class="filter-bar" ref=${filter}>
      <${Filter} text=${text} />
      <${Chips} counts=${pages.answer?.counts} text=${text} />
    </div>
    <p class="match-line small muted" role="status">${problem ? html`<span class="o-error">${problem}</span>` : matchWords(pages.total, sort, dir)}
      ${isHeld && html` · <button type="button" class="link" onClick=${pages.reload}>Newer figures are there: show them</button>`}</p>
    <${ErrorBox} error=${pages.error} retry=${pages.reload} isKept=${pages.total !== undefined} />
    <div class="card" ...${bind}>
      ${pages.total === undefined ? !pages.error && html`<${Skeleton} rows=${12} />`
        : pages.total === 0 ? html`<${Nothing} text=${text} />`
        : html`<${VirtualTable} label="Jobs" columns=${columns} total=${pages.total} rowAt=${pages.rowAt} keyOf=${(/** @type {any} */ row) => row.id} nameOf=${(/** @type {any} */ row) => row.name}
            onSee=${pages.see} sort=${sort} dir=${dir} onSort=${(/** @type {string} */ by, /** @type {string} */ way) => setQuery({ sort: by === "name" ? null : by, dir: way === "asc" ? null : way }, { replace: false })}
            selection=${selection.table} keysOf=${(/** @type {any} */ row) => actionKeys(row, actions)} stale=${pages.isStale} />`}
    </div>
    ${selection.count > 0 && html`<${BulkBar} selection=${selection} onDone=${pages.reload} />`}
    <${JobDialogs} actions=${actions} />
  <//>`;
}

/** @param {{text: string}} props */
function Filter({ text }) {
  const [typed, setTyped] = useState(text);
  const sent = useRef(text);
  if (sent.current !== text) {
    sent.current = text;
    if (typed.trim() !== text) setTyped(text);
  }
  const services = useService("zato.service.get-list", {});
  const values = useMemo(() => ({
    is: STATES, service: (services.data ?? []).map((/** @type {any} */ each) => each.name), next: ["15m", "1h", "1d"], tag: /** @type {string[]} */ ([]),
  }), [services.data]);
  const change = (/** @type {string} */ value) => {
    setTyped(value);
    sent.current = value.trim();
    setQuery({ q: value.trim() || null });
  };
  return html`<div class="filter"><${Completing} label="Filter jobs" placeholder=${`Name, or ${KEYS.map((key) => `${key}:`).join(" ")}`} value=${typed} onInput=${change} complete=${(/** @type {string} */ before) => completions(before, values)} hint="F" /></div>`;
}

/** @param {{counts: Record<string, number> | undefined, text: string}} props */
function Chips({ counts, text }) {
  const chosen = stateOf(text);
  const choose = (/** @type {string | null} */ state) => setQuery({ q: withState(place.value.query["q"] ?? "", state) || null }, { replace: false });
  return html`<div class="chips" role="group" aria-label="State">
    <${Chip} isOn=${!chosen} onClick=${() => choose(null)} count=${count(counts?.["all"])}>All<//>
    ${CHIPS.filter((state) => state !== "late" || counts?.["late"] || chosen === "late").map((state) => html`<${Chip} key=${state} isOn=${chosen === state} onClick=${() => choose(chosen === state ? null : state)} count=${count(counts?.[state])}><${OutcomeMark} o=${state} /><//>`)}</div>`;
}

/** @param {{text: string}} props */
function Nothing({ text }) {
  if (!text) return html`<${FirstJob} />`;
  return html`<${Empty} title="No job matches." actions=${html`<${Button} onClick=${() => setQuery({ q: null }, { replace: false })}>Clear the filter<//>`}>
    The filter is <code>${text}</code>.<//>`;
}

/**
 * @param {number | undefined} total
 * @param {string} sort
 * @param {string} dir
 */
function matchWords(total, sort, dir) {
  if (total === undefined) return "";
  return `${some(total, "job")} ${total === 1 ? "matches" : "match"} · sorted by ${SORTS[sort] ?? sort}${dir === "desc" ? ", last first" : ""}`;
}
