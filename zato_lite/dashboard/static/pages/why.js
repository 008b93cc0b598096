// Why: what happened at an instant of a job and for which reason; over any page.

import { invoke } from "../core/api.js";
import { pageUrl } from "../core/base.js";
import { say, toast } from "../core/dialog.js";
import { focusLate, useKeys } from "../core/keys.js";
import { match, navigate, place, setQuery } from "../core/router.js";
import { denied } from "../core/session.js";
import { OutcomeMark } from "../core/shapes.js";
import { useAction, useService } from "../core/store.js";
import { instant, shownZone, Time, zoneName } from "../core/time.js";
import { Button, ErrorBox, Show } from "../core/ui.js";
import { Completing } from "../lib/complete.js";
import { Field, TextField } from "../lib/field.js";
import { Sentence } from "../lib/sentence.js";
import { html, useEffect, useRef, useState } from "../vendor/vendor.js";
import { WhyFacts } from "./why_facts.js";

/** @typedef {Record<string, any>} Answer */

const SERVICE = "zato.scheduler.job.why";
/** Codes and the outcome whose shape and colour they have. */
const MARKS = /** @type {Record<string, string>} */ ({ before_start: "upcoming", after_end: "upcoming", not_on_schedule: "upcoming", before_creation: "upcoming", repeats_used_up: "upcoming", not_yet: "upcoming", due: "late", unknown: "excluded", clock_set_back: "late" });
const WORDS = /** @type {Record<string, string>} */ ({
  before_start: "before its start", after_end: "after its end", not_on_schedule: "not on its schedule", before_creation: "before it existed", repeats_used_up: "all runs used up",
  not_yet: "not yet", due: "due", unknown: "no record", clock_set_back: "clock set back", skipped_already_in_flight: "skipped",
});
/** Actions that the page does itself; the others invoke their service. */
const PAGES = /** @type {Record<string, (input: any, job: number) => string>} */ ({ open_run: (input, job) => `/jobs/${input.id ?? input.job_id ?? job}/runs/${input.current_run}`, edit: (input, job) => `/jobs/${input.id ?? job}/edit` });

/** @param {{query: Record<string, string>}} props */
export default function WhyPanel({ query }) {
  const job = Number(query["why_job"]) || Number(match("/jobs/:id/:tab?/:run?", place.value.path)?.["id"]) || 0, at = query["why"] ?? "";
  const panel = useRef(/** @type {HTMLElement | null} */ (null));
  const close = () => setQuery({ why: null, why_job: null }, { replace: false });
  useKeys([{ keys: "Escape", words: "Close the panel", run: close }]);
  useEffect(() => {
    const before = document.activeElement;
    focusLate(panel.current); // its module may have come late
    return () => { if (before instanceof HTMLElement && before.isConnected) before.focus(); };
  }, []);
  const onKey = (/** @type {KeyboardEvent} */ event) => { if (event.key === "Escape" && !event.defaultPrevented) { event.stopPropagation(); close(); } };
  return html`<div class="why-panel" role="dialog" aria-labelledby="why-title" tabindex="-1" ref=${panel} onKeyDown=${onKey}>
    <header><h2 id="why-title">Why</h2><span class="grow"></span><${Button} kind="quiet" icon="close" label="Close" keys="Esc" onClick=${close} /></header>
    ${job ? html`<${WhyOf} key=${job} job=${job} at=${at} />` : html`<${ChooseJob} />`}</div>`;
}

function ChooseJob() {
  const [name, setName] = useState("");
  const choose = useAction(async () => {
    const job = await invoke("zato.scheduler.job.get-by-name", { name });
    setQuery({ why_job: job.id, why: "latest" });
  });
  const complete = async (/** @type {string} */ text) => {
    const found = await invoke("zato.scheduler.job.get-list", { query: text, paginate: true, page_size: 10 });
    return { start: 0, options: /** @type {any[]} */ (found).map((each) => each.name) };
  };
  const submit = (/** @type {Event} */ event) => { event.preventDefault(); void choose.run(); };
  return html`<form class="why-body" onSubmit=${submit}><${Field} id="why-job" label="Job" hint="Which job did, or did not, run?" error=${choose.error?.message}><${Completing} id="why-job" value=${name} onInput=${setName} complete=${complete} /><//>
    <div><${Button} kind="primary" type="submit" busy=${choose.isBusy} denied=${name ? "" : "name a job"} onClick=${choose.run}>Explain<//></div></form>`;
}

/** @param {{job: number, at: string}} props */
function WhyOf({ job, at }) {
  const isLatest = at === "latest" || instant(at) === null && !at;
  const [asked] = useState(() => new Date().toISOString());
  const answer = useService(SERVICE, { id: job, at: isLatest ? asked : at }, { on: ["run-started", "run-ended", "slot-decided", "job-changed"], relevant: ({ data }) => data.job_id === job });
  const found = /** @type {Answer | undefined} */ (answer.data);
  useEffect(() => {
    if (isLatest && found?.previous_slot) setQuery({ why: found.previous_slot });
    else if (found && !answer.isStale) say(found.sentence ?? found.reason, { now: true });
  }, [found?.at, found?.reason]);
  return html`<div class=${`why-body ${answer.isStale ? "stale" : ""}`}><${Show} of=${answer} rows=${5}>${(/** @type {Answer} */ data) => html`<${Explained} data=${data} reload=${answer.reload} />`}<//>
    ${answer.error && html`<${Button} small onClick=${() => setQuery({ why: "latest" })}>Its latest slot<//>`}</div>`;
}

/** @param {{data: Answer, reload: () => Promise<void>}} props */
function Explained({ data, reload }) {
  const code = data.code ?? data.outcome, zone = data.timezone;
  const go = (/** @type {string | null} */ slot) => { if (slot) setQuery({ why: slot }); };
  const missing = "the job has no slot there";
  return html`<h3><a href=${pageUrl(`/jobs/${data.job_id}`)}><bdi>${data.job_name}</bdi></a></h3>
    <${Instant} at=${data.at} zone=${zone} />
    <div class="row"><${Button} small icon="left" denied=${data.previous_slot ? "" : missing} onClick=${() => go(data.previous_slot)}>Slot before<//><span class="grow"></span><${Button} small denied=${data.next_slot ? "" : missing} onClick=${() => go(data.next_slot)}>Slot after<//></div>
    <p class="why-sentence" role="status"><${OutcomeMark} o=${MARKS[code] ?? code} words=${WORDS[code] ?? code} /> <${Sentence} text=${data.sentence ?? data.reason} zone=${zone} /></p>
    <${WhyFacts} facts=${data.facts ?? []} zone=${zone} />
    <${Actions} data=${data} reload=${reload} />`;
}

/** The instant, to be changed, in the zone of the other times. @param {{at: string, zone: string | undefined}} props */
function Instant({ at, zone }) {
  const shown = shownZone(zone), local = localText(at, shown);
  const [typed, setTyped] = useState(local);
  useEffect(() => setTyped(local), [local]);
  const change = (/** @type {string} */ text) => {
    setTyped(text);
    const ms = text ? instantOf(text, shown) : null;
    if (ms !== null) setQuery({ why: new Date(ms).toISOString() });
  };
  return html`<${TextField} id="why-at" label="At" type="datetime-local" value=${typed} onInput=${change} hint=${html`in ${zoneName(shown)}${zone && shown === zone ? ", the zone of the job" : ""} · <${Time} at=${at} zone=${zone} relative />`} attrs=${{ step: 1 }} />`;
}

/** @param {{data: Answer, reload: () => Promise<void>}} props */
function Actions({ data, reload }) {
  const act = useAction(async (/** @type {any} */ action) => {
    const answer = await invoke(action.service, action.input);
    toast(`${action.label}: done.`);
    if (answer?.current_run) await navigate(`/jobs/${data.job_id}/runs/${answer.current_run}`);
    else await reload();
  });
  const actions = /** @type {any[]} */ (data.actions ?? []);
  if (!actions.length) return null;
  return html`<h3>What you can do</h3><div class="row">${actions.map((action, index) => {
    const page = PAGES[action.code], reason = action.code === "open_run" ? "" : denied(action.service);
    return page !== undefined ? html`<${Button} key=${action.code + index} kind=${index ? "" : "primary"} denied=${reason} href=${pageUrl(page(action.input, data.job_id))}>${action.label}<//>`
      : html`<${Button} key=${action.code + index} kind=${index ? "" : "primary"} denied=${reason} busy=${act.isBusy} onClick=${() => act.run(action)}>${action.label}<//>`;
  })}</div><${ErrorBox} error=${act.error} />`;
}

/**
 * Return an instant as a field for local times needs it.
 *
 * @param {string} at
 * @param {string} zone
 */
function localText(at, zone) {
  const ms = instant(at);
  if (ms === null) return "";
  const parts = Object.fromEntries(new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" }).formatToParts(ms).map(({ type, value }) => [type, value]));
  return `${parts["year"]}-${parts["month"]}-${parts["day"]}T${parts["hour"]}:${parts["minute"]}:${parts["second"]}`;
}

/**
 * Return the instant of a local time, in milliseconds; of one that comes twice, either.
 *
 * @param {string} text
 * @param {string} zone
 */
function instantOf(text, zone) {
  const wanted = Date.parse(`${text}Z`);
  if (Number.isNaN(wanted)) return null;
  let ms = wanted;
  for (let turn = 0; turn < 2; turn += 1) ms += wanted - Date.parse(`${localText(new Date(ms).toISOString(), zone)}Z`);
  return ms;
}
