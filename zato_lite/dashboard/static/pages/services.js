// Services: what is deployed, how it does, and files that could not be deployed.

import { pageUrl } from "../core/base.js";
import { setCount } from "../core/counts.js";
import { useKeys } from "../core/keys.js";
import { navigate, setQuery } from "../core/router.js";
import { confines, denied } from "../core/session.js";
import { OutcomeMark } from "../core/shapes.js";
import { Page } from "../core/shell.js";
import { useService } from "../core/store.js";
import { Time } from "../core/time.js";
import { Card, Chip, CopyButton, Empty, Show } from "../core/ui.js";
import { count, duration, some } from "../core/words.js";
import { VirtualTable } from "../lib/table.js";
import { html, useEffect, useMemo, useRef } from "../vendor/vendor.js";
import ServicePage from "./service.js";

/** @typedef {Record<string, any>} Service */

/** @param {{params: Record<string, string>, query: Record<string, string>}} props */
export default function ServicesPage({ params, query }) {
  if (params["name"]) return html`<${ServicePage} key=${params["name"]} name=${decodeURIComponent(params["name"])} query=${query} />`;
  return html`<${ServiceList} query=${query} />`;
}

/** @param {{query: Record<string, string>}} props */
function ServiceList({ query }) {
  const text = query["q"] ?? "", kind = query["kind"] ?? "own";
  const found = useService("zato.service.get-list", {}, { every: 15, on: ["deployment"] });
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  useKeys([{ keys: "f", words: "Filter", run: () => input.current?.focus() }]);
  const all = /** @type {Service[]} */ (found.data ?? []), own = all.filter((each) => !each.is_internal);
  useEffect(() => { if (found.data) setCount("services", own.length); }, [own.length]);
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = all.filter((each) => (kind === "own" ? !each.is_internal : kind === "failing" ? each.errors > 0 : each.is_internal) && words.every((word) => each.name.toLowerCase().includes(word)));
  const choose = (/** @type {string} */ key) => () => setQuery({ kind: key === "own" ? null : key }, { replace: false });
  return html`<${Page} title="Services">
    <${FailedFiles} />
    <div class="filter-bar"><div class="filter"><input ref=${input} type="search" aria-label="Filter services" placeholder="Name" value=${text} onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value || null })} /><kbd aria-hidden="true">F</kbd></div>
      <div class="chips" role="group" aria-label="Kind"><${Chip} isOn=${kind === "own"} onClick=${choose("own")} count=${found.data ? count(own.length) : "–"}>Yours<//><${Chip} isOn=${kind === "failing"} onClick=${choose("failing")} count=${found.data ? count(all.filter((each) => each.errors > 0).length) : "–"}><${OutcomeMark} o="error" words="with errors" /><//><${Chip} isOn=${kind === "built-in"} onClick=${choose("built-in")} count=${found.data ? count(all.length - own.length) : "–"}>Built in<//></div></div>
    <p class="match-line small muted">${found.data ? `${some(shown.length, "service")} · figures since this server started` : ""}</p>
    <div class="card"><${Show} of=${found} rows=${8}>${() => shown.length ? html`<${Table} rows=${shown} isStale=${found.isStale} />` : html`<${Nothing} text=${text} kind=${kind} />`}<//></div>
  <//>`;
}

/** @param {{rows: Service[], isStale: boolean}} props */
function Table({ rows, isStale }) {
  const columns = useMemo(columnsOf, []);
  return html`<${VirtualTable} label="Services" columns=${columns} total=${rows.length} rowAt=${(/** @type {number} */ index) => rows[index]} keyOf=${(/** @type {Service} */ row) => row.name} nameOf=${(/** @type {Service} */ row) => row.name} stale=${isStale} cardHeight=${78}
    keysOf=${(/** @type {Service} */ row) => [{ keys: "Enter", words: "Open", run: () => void navigate(`/services/${encodeURIComponent(row.name)}`) }]} />`;
}

/** @returns {import("../lib/table.js").Column[]} */
function columnsOf() {
  return [
    { key: "name", words: "Service", cls: "name", cell: (row) => html`<a href=${pageUrl(`/services/${encodeURIComponent(row.name)}`)}><bdi>${row.name}</bdi></a><span class="sub">${row.is_active ? "" : html`<${OutcomeMark} o="paused" words="inactive" /> · `}<span class="mono">${row.impl_name}</span></span>` },
    { key: "calls", words: "Calls", cls: "r wide", cell: (row) => html`<span class="num">${count(row.usage)}</span><span class="card-label"> ${row.usage === 1 ? "call" : "calls"}</span>` },
    { key: "errors", words: "Errors", cls: "errors-cell wide", cell: (row) => row.errors ? html`<span class="o-error"><${OutcomeMark} o="error" words=${count(row.errors)} /></span><span class="sub clip isolate" title=${row.last_error}>${row.last_error_iso ? html`<${Time} at=${row.last_error_iso} relative /> ` : ""}${row.last_error ?? ""}</span>` : html`<span class="muted num">0</span><span class="card-label muted"> errors</span>` },
    { key: "running", words: "Running", cls: "r hide", cell: (row) => row.in_flight ? html`<${OutcomeMark} o="running" words=${count(row.in_flight)} />` : html`<span class="muted num">0</span>` },
    { key: "p50", words: "p50", cls: "r hide", cell: (row) => html`<span class="num" title="half of the calls">${duration(row.p50_ms)}</span>` },
    { key: "p95", words: "p95", cls: "r hide", cell: (row) => html`<span class="num">${duration(row.p95_ms)}</span>` },
  ];
}

/** @param {{text: string, kind: string}} props */
function Nothing({ text, kind }) {
  if (text) return html`<${Empty} title="No service matches.">The filter is <code>${text}</code>.<//>`;
  if (kind === "failing") return html`<${Empty} title="No service has had an error.">Since this server started.<//>`;
  if (kind === "own" && confines()) return html`<${Empty} title="No service that you may see.">Your access is confined to <code>${confines()}</code>.<//>`;
  return html`<${Empty} title="You have no service yet."><p>Save this as <code>services/hello.py</code>; it is deployed within a second.</p><pre>${`from zato_lite import Service

class Hello(Service):
    async def handle(self):
        return {"message": "Hello"}`}</pre><//>`;
}

function FailedFiles() {
  const service = "zato.service.get-deployment-info-list", files = useService(denied(service) ? "" : service, {}, { on: ["deployment"] });
  const failed = /** @type {any[]} */ (files.data ?? []).filter((file) => !file.is_ok);
  if (!failed.length) return null;
  return html`<${Card} title=${html`<${OutcomeMark} o="error" words=${`${some(failed.length, "file")} could not be deployed`} />`} cls="failed-files"><ul class="list">${failed.map((file) => html`<li key=${file.source}><div class="grow">
    <b class="isolate">${file.source}</b><p class="isolate o-error">${file.error}</p><details><summary>Traceback</summary><pre class="value" tabindex="0">${file.details}</pre></details></div><${CopyButton} text=${file.details} label="Copy the traceback" /></li>`)}</ul><//>`;
}
