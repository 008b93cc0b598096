// The audit log: who did what to what, and what it was before.

import { setQuery } from "../core/router.js";
import { denied, deniedSentence } from "../core/session.js";
import { Page } from "../core/shell.js";
import { Button, Card, Empty } from "../core/ui.js";
import { TextField } from "../lib/field.js";
import { html, useEffect, useState } from "../vendor/vendor.js";
import { AuditList } from "./audit_list.js";

const SERVICE = "zato.audit.get-list";
const FIELDS = /** @type {[string, string, string][]} */ ([["who", "Who", "the exact name"], ["action", "Did", "zato.scheduler.job"], ["name", "To", "a job, a user …"], ["query", "Words", "in any field"]]);
const SETTLE_MS = 200;

/** @param {{query: Record<string, string>}} props */
export default function AuditPage({ query }) {
  const reason = denied(SERVICE);
  const input = Object.fromEntries(FIELDS.map(([name]) => [name, query[name] ?? ""]).filter(([, value]) => value));
  if (query["job"]) Object.assign(input, { kind: "job", id: Number(query["job"]) });
  const isFiltered = Object.keys(input).length > 0;
  return html`<${Page} title="Audit">${reason ? html`<${Empty} title="The audit log is for admins.">${deniedSentence(SERVICE)}${denied("zato.scheduler.job.get-audit") ? "" : " The page of a job shows what was done to that job."}<//>` : html`
    <div class="fields audit-filter">${FIELDS.map(([name, label, example]) => html`<${FilterField} key=${name} name=${name} label=${label} example=${example} value=${query[name] ?? ""} />`)}</div>
    <${Card} title="Changes and refusals" actions=${html`<label class="check small"><input type="checkbox" checked=${query["reads"] === "1"} onChange=${(/** @type {any} */ event) => setQuery({ reads: event.target.checked ? 1 : null })} /> What was only read, too</label>${isFiltered && html`<${Button} small onClick=${() => setQuery({ who: null, action: null, name: null, query: null, job: null }, { replace: false })}>Clear the filter<//>`}`}>
      <${AuditList} service=${SERVICE} input=${input} hasReads=${query["reads"] === "1"} empty=${html`<${Empty} title=${isFiltered ? "No row matches." : "Nothing is recorded yet."} />`} /><//>`}<//>`;
}

/** @param {{name: string, label: string, example: string, value: string}} props */
function FilterField({ name, label, example, value }) {
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  useEffect(() => {
    if (typed === value) return undefined;
    const timer = setTimeout(() => setQuery({ [name]: typed || null }), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return html`<${TextField} id=${`audit-${name}`} cls="quarter" label=${label} placeholder=${example} value=${typed} onInput=${setTyped} />`;
}
