// Rows of the audit log, with what changed.

import { pageUrl } from "../core/base.js";
import { stringify } from "../core/exact.js";
import { useService } from "../core/store.js";
import { Time } from "../core/time.js";
import { Button, Show } from "../core/ui.js";
import { isChange, isRead } from "../lib/changes.js";
import { html, useState } from "../vendor/vendor.js";

/** @typedef {Record<string, any>} Row */

const SIZE = 50;
const HOMES = /** @type {Record<string, (about: any) => string | null>} */ ({
  job: ({ id }) => (id ? `/jobs/${id}` : null),
  run: ({ id, name }) => (id && /^\d+$/.test(name) ? `/jobs/${id}/runs/${name}` : id ? `/jobs/${id}` : null),
  service: ({ name }) => `/services/${encodeURIComponent(name)}`,
  calendar: ({ name }) => `/calendars/${encodeURIComponent(name)}`,
  user: () => "/people", key: () => "/people", scheduler: () => "/nodes", store: () => "/nodes",
});

/** @param {{service: string, input: Record<string, any>, isOfJob?: boolean, hasReads?: boolean, empty: any}} props */
export function AuditList({ service, input, isOfJob = false, hasReads = false, empty }) {
  const [size, setSize] = useState(SIZE);
  const loaded = useService(service, { ...input, page_size: size }, { on: ["change", "job-changed", "jobs-changed"], relevant: isChange });
  return html`<${Show} of=${loaded} rows=${8}>${(/** @type {any} */ data) => {
    const found = /** @type {Row[]} */ (Array.isArray(data) ? data : data.rows), rows = hasReads ? found : found.filter((row) => !isReading(row));
    if (!rows.length && found.length < size) return empty;
    return html`<ol class=${`audit ${loaded.isStale ? "stale" : ""}`}>${rows.map((row) => html`<${AuditRow} key=${row.id} row=${row} isOfJob=${isOfJob} />`)}</ol>
      ${found.length >= size && size < 1000 && html`<p class="pad"><${Button} small busy=${loaded.isStale} onClick=${() => setSize(Math.min(1000, size * 2))}>Older<//></p>`}`;
  }}<//>`;
}

/**
 * Return true if a row records that an admin has read something.
 *
 * @param {Row} row
 */
function isReading(row) {
  return row.action === "invoke" && /^2\d\d$/.test(row.outcome) && isRead(row.subject);
}

/** @param {{row: Row, isOfJob: boolean}} props */
function AuditRow({ row, isOfJob }) {
  const isRefused = !/^(ok|2\d\d)$/.test(row.outcome), about = row.about;
  const home = about && HOMES[about.kind]?.(about), words = about?.kind === "run" && about.id ? `run ${about.name} of job ${about.id}` : about?.name || row.subject;
  return html`<li class=${isRefused ? "refused" : ""}>
    <${Time} at=${row.time} /><b class="isolate">${row.who}</b>
    <span><code>${row.action}</code>${!isOfJob && words ? html` <span class="isolate">${home ? html`<a href=${pageUrl(home)}>${words}</a>` : words}</span>` : null}${isRefused ? html` <span class="o-error isolate">${row.outcome}</span>` : null}</span>
    <span class="muted small">${row.remote_address}</span>
    <${Changes} before=${row.before} after=${row.after} /></li>`;
}

/** @param {{before: Record<string, any> | null | undefined, after: Record<string, any> | null | undefined}} props */
function Changes({ before, after }) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  if (!names.length) return null;
  return html`<dl class="changes">${names.map((name) => html`<div key=${name}><dt>${name}</dt><dd>${before && (before[name] ?? "") !== "" ? html`<del class="isolate">${shown(before[name])}</del>` : null}${after && name in after ? html`<ins class="isolate">${shown(after[name])}</ins>` : null}</dd></div>`)}</dl>`;
}

/** @param {unknown} value */
function shown(value) {
  if (value === null || value === undefined || value === "") return "–";
  return typeof value === "string" ? value : stringify(value);
}
