// Calendars: the days off of a year, the rules behind them, and who uses them.

import { ApiError, invoke } from "../core/api.js";
import { pageUrl } from "../core/base.js";
import { confirm, Dialog, Menu, toast } from "../core/dialog.js";
import { navigate, setQuery } from "../core/router.js";
import { denied } from "../core/session.js";
import { Page } from "../core/shell.js";
import { useAction, useService } from "../core/store.js";
import { now } from "../core/time.js";
import { Button, Card, Empty, ErrorBox, Show } from "../core/ui.js";
import { count, some } from "../core/words.js";
import { isChange } from "../lib/changes.js";
import { TextField } from "../lib/field.js";
import { html, useState } from "../vendor/vendor.js";
import { CalendarDialog } from "./calendar_form.js";
import { YearGrid } from "./calendar_year.js";

/** @typedef {{name: string, description?: string, dates?: string[], weekdays?: number[], yearly?: string[], ranges?: {first: string, last: string, reason?: string}[], included?: string[]}} Calendar */

const PREFIX = "zato.scheduler.calendar.";
const WEEKDAYS = ["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"];

/** @param {{params: Record<string, string>, query: Record<string, string>}} props */
export default function CalendarsPage({ params, query }) {
  const [edited, setEdited] = useState(/** @type {Calendar | "new" | null} */ (null));
  const list = useService(`${PREFIX}get-list`, {}, { on: ["change", "calendar-changed"], relevant: isChange });
  const calendars = /** @type {Calendar[]} */ (list.data ?? []);
  const name = params["name"] ? decodeURIComponent(params["name"]) : calendars[0]?.name ?? "";
  const chosen = calendars.find((each) => each.name === name);
  const saved = async (/** @type {string} */ changed) => {
    setEdited(null);
    await list.reload();
    await navigate(`/calendars/${encodeURIComponent(changed)}`);
  };
  return html`<${Page} title=${chosen && params["name"] ? `Calendar ${chosen.name}` : "Calendars"} heading="Calendars" actions=${html`<${Button} kind="primary" denied=${denied(`${PREFIX}create`)} onClick=${() => setEdited("new")}>New calendar<//>`}>
    <${Show} of=${list} rows=${8}>${() => calendars.length === 0 ? html`<div class="card"><${Empty} title="There is no calendar." actions=${html`<${Button} kind="primary" denied=${denied(`${PREFIX}create`)} onClick=${() => setEdited("new")}>New calendar<//>`}>A calendar is a set of days on which the jobs that use it do not run: weekends, holidays, a freeze.<//></div>`
      : html`<div class="beside"><nav class="card side-list" aria-label="Calendars">${calendars.map((each) => html`<a key=${each.name} href=${pageUrl(`/calendars/${encodeURIComponent(each.name)}`)} aria-current=${each.name === name ? "page" : undefined}><bdi>${each.name}</bdi>${each.description && html`<small class="cut">${each.description}</small>`}</a>`)}</nav>
        ${chosen ? html`<${CalendarView} key=${name} calendar=${chosen} year=${query["year"]} onEdit=${() => setEdited(chosen)} onChanged=${saved} onDeleted=${async () => { await list.reload(); await navigate("/calendars"); }} />` : html`<div class="card"><${Empty} title="There is no such calendar.">It may have been renamed or deleted.<//></div>`}</div>`}<//>
    ${edited && html`<${CalendarDialog} calendar=${edited === "new" ? null : edited} onClose=${() => setEdited(null)} onDone=${saved} />`}
  <//>`;
}

/** @param {{calendar: Calendar, year: string | undefined, onEdit: () => void, onChanged: (name: string) => Promise<void>, onDeleted: () => Promise<void>}} props */
function CalendarView({ calendar, year, onEdit, onChanged, onDeleted }) {
  const current = new Date(now.peek()).getUTCFullYear(), shown = Number(year) || current;
  const [isNaming, setNaming] = useState(false);
  const days = useService(`${PREFIX}get-days`, { name: calendar.name, year: shown }, { on: ["change", "calendar-changed", "job-changed"], relevant: isChange });
  const turn = (/** @type {number} */ to) => setQuery({ year: to === current ? null : to }, { replace: false });
  const remove = useAction(async () => {
    if (!(await confirm({ title: `Delete the calendar ${calendar.name}?`, text: "This cannot be undone.", yes: "Delete it", danger: true }))) return;
    await invoke(`${PREFIX}delete`, { name: calendar.name });
    toast(`The calendar ${calendar.name} is deleted.`);
    await onDeleted();
  });
  const users = days.data?.job_count ?? 0;
  return html`<div><${Card} title=${html`<bdi>${calendar.name}</bdi>`} stale=${days.isStale} actions=${html`
      <${Button} small icon="left" label="The year before" onClick=${() => turn(shown - 1)} /><b class="num">${shown}</b><${Button} small icon="right" label="The year after" onClick=${() => turn(shown + 1)} />
      <${Button} small denied=${denied(`${PREFIX}edit`)} onClick=${onEdit}>Edit<//><${Menu} small label="More about the calendar" items=${[
        { words: "Rename …", denied: denied(`${PREFIX}rename`), run: () => setNaming(true) },
        { words: "Delete …", icon: "trash", danger: true, denied: denied(`${PREFIX}delete`) || (users ? `${some(users, "job uses", "jobs use")} it` : ""), run: remove.run },
      ]} />`}>
      <${ErrorBox} error=${remove.error} />
      ${calendar.description && html`<p class="pad-side isolate calendar-words">${calendar.description}</p>`}
      <${Show} of=${days} rows=${6}>${(/** @type {any} */ data) => html`<${YearGrid} year=${shown} days=${data.days} /><p class="pad small muted">${some(data.days.length, "day")} off in ${shown}: ${rulesOf(calendar).join("; ") || "no rule yet"}.</p>`}<//>
    <//>
    <${Card} title="Jobs that use it"><${Show} of=${days}>${(/** @type {any} */ data) => data.jobs.length ? html`<ul class="list">${data.jobs.map((/** @type {any} */ job) => html`<li key=${job.id}><a href=${pageUrl(`/jobs/${job.id}`)}><bdi>${job.name}</bdi></a></li>`)}</ul>${data.job_count > data.jobs.length ? html`<p class="pad muted">and ${count(data.job_count - data.jobs.length)} others</p>` : null}` : html`<p class="pad muted">No job uses it.</p>`}<//><//>
    ${isNaming && html`<${RenameDialog} name=${calendar.name} onClose=${() => setNaming(false)} onDone=${onChanged} />`}</div>`;
}

/** @param {{name: string, onClose: () => void, onDone: (name: string) => Promise<void>}} props */
function RenameDialog({ name, onClose, onDone }) {
  const [typed, setTyped] = useState(name);
  const save = useAction(async () => {
    await invoke(`${PREFIX}rename`, { name, new_name: typed });
    await onDone(typed);
  });
  const reason = typed.trim() === "" || typed === name ? "write another name" : "";
  const text = save.error instanceof ApiError ? save.error.errors[0]?.message ?? save.error.message : undefined;
  return html`<${Dialog} title="Rename the calendar" onClose=${onClose} onSubmit=${() => !reason && save.run()} actions=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} kind="primary" type="submit" busy=${save.isBusy} denied=${reason} onClick=${save.run}>Rename<//>`}>
    <${TextField} id="calendar-rename" label="New name" value=${typed} onInput=${setTyped} error=${text} hint="Jobs that use it keep using it." autofocus /><//>`;
}

/**
 * Return the rules in words.
 *
 * @param {Calendar} calendar
 * @returns {string[]}
 */
function rulesOf({ weekdays = [], yearly = [], dates = [], ranges = [], included = [] }) {
  return [
    weekdays.map((day) => WEEKDAYS[day]).join(", "), yearly.length ? `each year ${yearly.join(", ")}` : "", dates.length ? some(dates.length, "single day") : "",
    ranges.map(({ first, last, reason }) => `${first} to ${last}${reason ? ` (${reason})` : ""}`).slice(0, 4).join(", "), included.length ? `open all the same: ${included.slice(0, 6).join(", ")}` : "",
  ].filter(Boolean);
}
