// One service: a form from its schema, its answers, its figures, its errors, and the jobs that run it.

import { ApiError, invoke, invokeFully } from "../core/api.js";
import { pageUrl, ROOT } from "../core/base.js";
import { toast } from "../core/dialog.js";
import { pretty } from "../core/exact.js";
import { useKeys } from "../core/keys.js";
import { denied, deniedOwn, session } from "../core/session.js";
import { OutcomeMark } from "../core/shapes.js";
import { Page } from "../core/shell.js";
import { useAction, useService } from "../core/store.js";
import { Time } from "../core/time.js";
import { Button, Card, CopyAs, CopyButton, Empty, ErrorBox, Segments, Show } from "../core/ui.js";
import { count, duration, some } from "../core/words.js";
import { LANGUAGES, textAs } from "../lib/copy_as.js";
import { inputsOf, jsonError, jsonOf } from "../lib/schema.js";
import { TextField } from "../lib/field.js";
import { html, useMemo, useState } from "../vendor/vendor.js";
import { SchemaField } from "./service_fields.js";

/** @typedef {Record<string, any>} Service */
/** @typedef {{status: number, text: string, cid: string, took: number, errors: Record<string, string>}} Answer */

/** @param {{name: string, query: Record<string, string>}} props */
export default function ServicePage({ name, query }) {
  const found = useService("zato.service.get-by-name", { name }, { every: 15, on: ["deployment"] });
  const crumbs = /** @type {[string, string][]} */ ([["/services", "Services"]]);
  const service = /** @type {Service | undefined} */ (found.data);
  if (!service) return html`<${Page} title=${name} crumbs=${crumbs}>${found.error?.status === 404 ? html`<${Empty} title="This service is not deployed." actions=${html`<${Button} href=${pageUrl("/services")}>All services<//>`}>${found.error.message}<//>` : html`<${Show} of=${found} rows=${8}>${() => null}<//>`}<//>`;
  const schedule = pageUrl("/jobs/new", { service: name, name });
  return html`<${Page} title=${name} heading=${html`<bdi>${name}</bdi>`} crumbs=${crumbs} actions=${html`<${Button} href=${schedule} denied=${denied("zato.scheduler.job.create")}>Schedule it<//>`}>
    <p class="lead"><span class="isolate service-words">${described(service.description) || "It has no description."}</span></p>
    <${Figures} service=${service} reload=${found.reload} />
    <div class="two-columns"><${InvokeForm} key=${name} service=${service} preset=${query["payload"] ?? ""} reload=${found.reload} /><div><${Errors} service=${service} /><${Jobs} service=${service} /></div></div>
  <//>`;
}

/** A docstring, with code of reStructuredText or Markdown as code. @param {string | undefined} text */
function described(text) {
  return text && text.split(/`{1,2}([^`]+)`{1,2}/).map((part, index) => (index % 2 ? html`<code key=${index}>${part}</code>` : part));
}

/** @param {{service: Service, reload: () => Promise<void>}} props */
function Figures({ service, reload }) {
  const edit = useAction(async () => {
    await invoke("zato.service.edit", { name: service.name, is_active: !service.is_active });
    toast(service.is_active ? `${service.name} refuses invocations until it is active again.` : `${service.name} is active.`);
    await reload();
  });
  return html`<p class="lead"><${OutcomeMark} o=${service.is_active ? "ok" : "paused"} words=${service.is_active ? "active" : "inactive"} />
    <span>${some(service.usage, "call")}</span><span class=${service.errors ? "o-error" : "muted"}>${some(service.errors, "error")}</span>${service.in_flight ? html`<${OutcomeMark} o="running" words=${`${count(service.in_flight)} running`} />` : null}
    ${service.usage ? html`<span class="muted">takes ${duration(service.p50_ms ?? service.average_ms)}${service.p95_ms != null ? `, 95 % within ${duration(service.p95_ms)}` : " on average"}</span>` : null}
    <span class="muted mono small isolate">${service.source || "built in"}</span><span class="grow"></span>
    <${Button} small denied=${denied("zato.service.edit")} busy=${edit.isBusy} onClick=${edit.run}>${service.is_active ? "Make inactive" : "Make active"}<//></p><${ErrorBox} error=${edit.error} />`;
}

/** @param {{service: Service, preset: string, reload: () => Promise<void>}} props reload: its figures have changed */
function InvokeForm({ service, preset, reload }) {
  const inputs = useMemo(() => inputsOf(service.input_schema ?? {}), [service.input_schema]);
  const [mode, setMode] = useState(inputs && !preset ? "form" : "json");
  const [values, setValues] = useState(() => Object.fromEntries((inputs ?? []).map((input) => [input.name, input.initial])));
  const [text, setText] = useState(preset || "{}");
  const [isTried, setTried] = useState(false);
  const [answer, setAnswer] = useState(/** @type {Answer | null} */ (null));
  const built = useMemo(() => (inputs ? jsonOf(inputs, values) : { json: "{}", errors: {} }), [inputs, values]);
  const json = mode === "form" ? built.json : text;
  const wrong = mode === "form" ? built.errors : text.trim() && jsonError(text) ? { payload: jsonError(text) } : {};
  const run = useAction(async () => {
    setTried(true);
    if (Object.keys(wrong).length) return;
    setAnswer(await ask(service.name, json));
    void reload();
  });
  useKeys([{ keys: "Ctrl-enter", words: "Invoke", run: () => void run.run() }]);
  const errors = /** @type {Record<string, string>} */ ({ ...(isTried ? wrong : {}), ...answer?.errors });
  const change = (/** @type {string} */ name, /** @type {string} */ value) => { setValues({ ...values, [name]: value }); setAnswer((now) => now && { ...now, errors: {} }); };
  const turn = (/** @type {string} */ to) => { if (to === "json") setText(pretty(built.json)); setMode(to); };
  const server = { url: ROOT.href.replace(/\/$/, ""), user: session.value?.name ?? "" };
  const submit = (/** @type {Event} */ event) => { event.preventDefault(); void run.run(); };
  return html`<${Card} title="Invoke it" actions=${inputs && html`<${Segments} label="Input as" options=${[["form", "Form"], ["json", "JSON"]]} value=${mode} onChange=${turn} />`}>
    <form class="pad invoke-form" novalidate onSubmit=${submit}>
      ${mode === "form" && inputs ? html`<div class="fields">${inputs.map((input) => html`<${SchemaField} key=${input.name} input=${input} value=${values[input.name] ?? ""} error=${errors[input.name]} onInput=${(/** @type {string} */ value) => change(input.name, value)} />`)}</div>${inputs.length === 0 ? html`<p class="muted">It takes no fields.</p>` : null}`
        : html`<${TextField} id="payload" label="Payload, as JSON" rows=${8} value=${text} error=${errors["payload"]} onInput=${setText} />`}
      <div class="row"><${Button} kind="primary" type="submit" icon="play" busy=${run.isBusy} denied=${deniedOwn(service.name)} onClick=${(/** @type {Event} */ event) => { event.preventDefault(); void run.run(); }}>Invoke<//><span class="small muted"><kbd>Ctrl</kbd> <kbd>Enter</kbd></span></div>
      <${ErrorBox} error=${run.error} />
      ${answer && html`<${Answered} answer=${answer} />`}
    </form>
    <div class="pad part-box"><${CopyAs} forms=${LANGUAGES.map((language) => [language, textAs(language, service.name, json, server)])} /></div><//>`;
}

/** @param {{answer: Answer}} props */
function Answered({ answer }) {
  const isOk = answer.status < 400;
  return html`<div class="answer" role="status"><p class="row"><${OutcomeMark} o=${isOk ? "ok" : "error"} words=${`${answer.status || "not connected"}`} /><span class="muted num">${duration(answer.took)}</span><span class="muted small">cid <code>${answer.cid}</code></span><span class="grow"></span><${CopyButton} text=${answer.text} label="Copy the answer" /></p>
    <pre class="value" tabindex="0">${answer.text === "" ? "(empty)" : pretty(answer.text)}</pre></div>`;
}

/**
 * Invoke a service and return what it answered, also an error.
 *
 * @param {string} name
 * @param {string} json
 * @returns {Promise<Answer>}
 */
async function ask(name, json) {
  const began = performance.now();
  try {
    const { status, text, cid, took } = await invokeFully(name, json.trim() || "{}", { exact: true });
    return { status, text, cid, took, errors: {} };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const errors = Object.fromEntries(error.errors.map(({ field, message }) => [field.split(/[.[]/)[0] ?? field, message]));
    return { status: error.status, text: error.message, cid: error.cid, took: performance.now() - began, errors };
  }
}

/** @param {{service: Service}} props */
function Errors({ service }) {
  const errors = /** @type {any[]} */ (service.recent_errors ?? []);
  return html`<${Card} title="Recent errors">${errors.length ? html`<ul class="list">${errors.map((each) => html`<li key=${each.cid + each.at_iso}><${OutcomeMark} o="error" words="" /><div class="grow"><p class="isolate">${each.error}</p><p class="small muted"><${Time} at=${each.at_iso} relative /> · ${each.channel}${each.job_id ? html` · <a href=${pageUrl(`/jobs/${each.job_id}${each.current_run ? `/runs/${each.current_run}` : ""}`)}><bdi>${each.job_name}</bdi>${each.current_run ? `, run ${each.current_run}` : ""}</a>` : null} · <code>${each.cid}</code></p></div></li>`)}</ul>` : html`<p class="pad muted">None since this server started.</p>`}<//>`;
}

/** @param {{service: Service}} props */
function Jobs({ service }) {
  const found = useService(service.jobs ? "" : "zato.scheduler.job.get-list", { service_name: service.name, include: ["words"], page_size: 20 });
  const jobs = /** @type {any[]} */ (service.jobs ?? found.data?.rows ?? []), total = service.job_count ?? found.data?.total ?? jobs.length;
  return html`<${Card} title="Jobs that run it" actions=${total > 0 && html`<a class="small" href=${pageUrl("/jobs", { q: `service:${service.name}` })}>All ${count(total)}</a>`}>${jobs.length ? html`<ul class="list">${jobs.slice(0, 20).map((job) => html`<li key=${job.id}><a class="grow" href=${pageUrl(`/jobs/${job.id}`)}><bdi>${job.name}</bdi></a><span class="muted small">${job.is_active ? job.words : html`<${OutcomeMark} o="paused" />`}</span></li>`)}</ul>` : html`<p class="pad muted">No job runs it.</p>`}<//>`;
}
