// What needs somebody, each with the one action that helps.
import { html, useEffect, useRef } from "../vendor/vendor.js";
import { invoke } from "../core/api.js";
import { pageUrl } from "../core/base.js";
import { confirm, say, toast } from "../core/dialog.js";
import { navigate } from "../core/router.js";
import { denied } from "../core/session.js";
import { Shape } from "../core/shapes.js";
import { useAction } from "../core/store.js";
import { Time } from "../core/time.js";
import { Button, Card, Show } from "../core/ui.js";
import { count, some } from "../core/words.js";
import { Sentence } from "../lib/sentence.js";

const SHAPES = /** @type {Record<string, string>} */ ({ failing: "error", late: "late", silent: "missed", missed: "missed", overlapping: "skipped", quarantined: "lost", undeployed: "lost", paused_by_itself: "paused" });
const SERVICES = /** @type {Record<string, string>} */ ({ retry: "zato.scheduler.job.retry-run", resume: "zato.scheduler.job.resume", backfill: "zato.scheduler.job.backfill" });
/** Services that the pages need to which other actions lead. */
const NEEDED = /** @type {Record<string, string>} */ ({ edit: "zato.scheduler.job.edit" });
const WORDS = /** @type {Record<string, string>} */ ({ retry: "Retry", resume: "Resume", backfill: "Backfill …", open: "Open", deploy: "Open", edit: "Edit" });

/** Kinds that are states of jobs too, by which their list is filtered. */
const LISTED = ["failing", "late", "missed"];
/** Jobs with the same trouble from which they share an entry. */
const FEW = 3;

/** @param {{of: import("../core/store.js").Loaded<any>}} props */
export function Attention({ of }) {
  const before = useRef(/** @type {number | undefined} */ (undefined)), known = of.data?.total;
  useEffect(() => {
    if (known !== undefined && before.current !== undefined && known > before.current) say(`${some(known, "job needs", "jobs need")} you.`);
    before.current = known;
  }, [known]);
  const found = of.data?.counts ?? {}, lists = LISTED.filter((kind) => found[kind] > 0);
  return html`<${Card} title="Needs you" stale=${of.isStale} actions=${lists.map((kind) => html`<a key=${kind} class="small" href=${pageUrl("/jobs", { q: `is:${kind}` })}>${count(found[kind])} ${kind}</a>`)}><${Show} of=${of}>${(/** @type {any} */ data) =>
    data.items.length === 0 ? html`<p class="pad muted">Nothing now; failing, late, missed and stuck jobs appear here.</p>` : html`<ul class="list">${grouped(data.items).map((items) => items.length < FEW
      ? items.map((item) => html`<${Item} key=${`${item.job_id} ${item.kind}`} item=${item} reload=${of.reload} />`)
      : html`<${Group} key=${`${items[0].kind} ${items[0].job_id}`} items=${items} reload=${of.reload} />`)}</ul>`}<//><//>`;
}

/**
 * Return the items in their order, those with the same sentence together.
 * @param {any[]} items
 * @returns {any[][]}
 */
function grouped(items) {
  const groups = new Map();
  for (const item of items) {
    const key = `${item.kind} ${item.sentence}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(item);
  }
  return [...groups.values()];
}

/** Jobs with one and the same trouble. @param {{items: any[], reload: () => Promise<void>}} props */
function Group({ items, reload }) {
  const [first, second] = items;
  return html`<li><${Shape} o=${SHAPES[first.kind]} words=${first.kind.replaceAll("_", " ")} /><div class="grow"><b>${some(items.length, "job")}</b><p class="isolate clamp" title=${first.sentence}><${Sentence} text=${first.sentence} isWhole=${false} /></p>
    <details><summary class="small isolate">${first.job_name}, ${second.job_name} and ${some(items.length - 2, "other")}</summary><ul class="list inner">${items.map((item) => html`<${Item} key=${item.job_id} item=${item} reload=${reload} isInGroup />`)}</ul></details></div></li>`;
}

/** @param {{item: any, reload: () => Promise<void>, isInGroup?: boolean}} props isInGroup: its sentence is said already */
function Item({ item, reload, isInGroup = false }) {
  const service = SERVICES[item.action], needed = service ?? NEEDED[item.action];
  const act = useAction(async () => {
    if (!service) return navigate(targetOf(item));
    const done = await run(item);
    if (done) { toast(done); await reload(); }
    return undefined;
  });
  return html`<li>${isInGroup ? null : html`<${Shape} o=${SHAPES[item.kind]} words=${item.kind.replaceAll("_", " ")} />`}<div class="grow"><a class="name isolate" href=${pageUrl(item.run ? `/jobs/${item.job_id}/runs/${item.run}` : `/jobs/${item.job_id}`)}>${item.job_name}</a>
      ${isInGroup ? null : html`<p class="isolate clamp" title=${item.sentence}><${Sentence} text=${item.sentence} isWhole=${false} /></p>`}${item.since_iso && !isInGroup ? html`<p class="tiny muted">since <${Time} at=${item.since_iso} /></p>` : null}${act.error ? html`<p class="field-error" role="alert">${act.error.message}</p>` : null}</div>
    ${item.action in WORDS ? html`<${Button} small busy=${act.isBusy} onClick=${act.run} denied=${needed ? denied(needed) : ""} label=${`${WORDS[item.action]} ${item.job_name}`}>${WORDS[item.action]}<//>` : null}</li>`;
}

/** @param {any} item */
function targetOf(item) {
  if (item.action === "edit") return pageUrl(`/jobs/${item.job_id}/edit`);
  if (item.action === "deploy") return pageUrl(`/services/${encodeURIComponent(item.service)}`);
  return pageUrl(item.run ? `/jobs/${item.job_id}/runs/${item.run}` : `/jobs/${item.job_id}`);
}

/**
 * @param {any} item
 * @returns {Promise<string>} what was done; empty for nothing
 */
async function run(item) {
  if (item.action === "retry") {
    await invoke(SERVICES.retry, { id: item.job_id, current_run: item.run });
    return `A new attempt of ${item.job_name} has been started.`;
  }
  if (item.action === "resume") {
    await invoke(SERVICES.resume, { id: item.job_id });
    return `${item.job_name} is active again.`;
  }
  const range = { id: item.job_id, start_date: item.first_iso, end_date: item.last_iso };
  const plan = await invoke(SERVICES.backfill, { ...range, dry_run: true });
  if (!plan.count) { toast(plan.reason || "No slot can be run again."); return ""; }
  const isSure = await confirm({ title: `Backfill ${item.job_name}`, text: html`<p>${some(plan.count, "run")} would be made for its missed slots.</p>`, yes: `Make ${some(plan.count, "run")}` });
  if (!isSure) return "";
  const made = await invoke(SERVICES.backfill, range);
  return `${some(made.count, "run")} of ${item.job_name} are on their way.`;
}
