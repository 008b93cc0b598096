// A calendar's rules, with the year that they make.

import { invoke } from "../core/api.js";
import { Dialog, toast } from "../core/dialog.js";
import { useAction, useService } from "../core/store.js";
import { now } from "../core/time.js";
import { Button, ErrorBox } from "../core/ui.js";
import { some } from "../core/words.js";
import { messagesOf, TextField } from "../lib/field.js";
import { html, useEffect, useState } from "../vendor/vendor.js";
import { YearGrid } from "./calendar_year.js";

/** @typedef {import("./calendars.js").Calendar} Calendar */

const PREFIX = "zato.scheduler.calendar.";
const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const SETTLE_MS = 300;
/** Lists that are written one item a line. */
const LISTS = /** @type {[string, string, string, string][]} */ ([
  ["yearly", "Days of each year", "12-25, easter+1, thu#4 nov, monL may: one a line", "12-25\neaster+1"],
  ["dates", "Single days", "2027-05-04, one a line", ""],
  ["ranges", "Periods", "2027-12-20 2028-01-02 freeze: first, last, reason", ""],
  ["included", "Open all the same", "days that are not off, whatever the rules say", ""],
]);

/** @param {{calendar: Calendar | null, onClose: () => void, onDone: (name: string) => Promise<void>}} props */
export function CalendarDialog({ calendar, onClose, onDone }) {
  const [form, setForm] = useState(() => formOf(calendar));
  const [settled, setSettled] = useState(form);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(form), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [form]);
  const [year, setYear] = useState(new Date(now.peek()).getUTCFullYear() + 1);
  const described = inputOf(settled), hasRules = ["weekdays", "yearly", "dates", "included", "ranges"].some((name) => name in described);
  const preview = useService(hasRules ? `${PREFIX}get-days` : "", { ...described, name: described.name || "preview", year });
  const save = useAction(async () => {
    const input = inputOf(form);
    await invoke(`${PREFIX}${calendar ? "edit" : "create"}`, input);
    toast(`The calendar ${input.name} is saved.`);
    await onDone(input.name);
  });
  const errors = { ...messagesOf(preview.error), ...messagesOf(save.error) };
  const set = (/** @type {string} */ name) => (/** @type {any} */ value) => setForm({ ...form, [name]: value });
  const toggle = (/** @type {number} */ day) => set("weekdays")(form.weekdays.includes(day) ? form.weekdays.filter((each) => each !== day) : [...form.weekdays, day].sort());
  return html`<${Dialog} title=${calendar ? html`Edit the calendar <bdi>${calendar.name}</bdi>` : "New calendar"} wide onClose=${onClose} onSubmit=${save.run} actions=${html`<${Button} onClick=${onClose}>Cancel<//><${Button} kind="primary" type="submit" busy=${save.isBusy} onClick=${save.run}>Save<//>`}>
    <div class="fields">
      ${!calendar && html`<${TextField} id="calendar-name" cls="half" label="Name" value=${form.name} onInput=${set("name")} error=${errors["name"]} autofocus />`}
      <${TextField} id="calendar-description" cls=${calendar ? "" : "half"} label="Description" value=${form.description} onInput=${set("description")} error=${errors["description"]} />
      <div class="field"><span class="label" id="calendar-weekdays">Weekdays off</span><div class="row" role="group" aria-labelledby="calendar-weekdays">${DAYS.map((words, day) => html`<label key=${words} class="check"><input type="checkbox" checked=${form.weekdays.includes(day)} onChange=${() => toggle(day)} /> ${words}</label>`)}</div>${errors["weekdays"] && html`<span class="field-error">${errors["weekdays"]}</span>`}</div>
      ${LISTS.map(([name, label, hint, placeholder]) => html`<${TextField} key=${name} id=${`calendar-${name}`} cls="half" label=${label} hint=${hint} rows=${3} placeholder=${placeholder} value=${/** @type {any} */ (form)[name]} onInput=${set(name)} error=${errors[name]} />`)}
    </div>
    <${ErrorBox} error=${Object.keys(errors).length ? null : save.error} />
    ${preview.data && hasRules && html`<div class=${preview.isStale ? "stale" : ""}><div class="row"><h3>${year}: ${some(preview.data.days.length, "day")} off</h3><span class="grow"></span><${Button} small icon="left" label="The year before" onClick=${() => setYear(year - 1)} /><${Button} small icon="right" label="The year after" onClick=${() => setYear(year + 1)} /></div><${YearGrid} year=${year} days=${preview.data.days} /></div>`}<//>`;
}

/** @param {Calendar | null} calendar */
function formOf(calendar) {
  const lines = (/** @type {string[] | undefined} */ list) => (list ?? []).join("\n");
  return {
    name: calendar?.name ?? "", description: calendar?.description ?? "", weekdays: calendar?.weekdays ?? [],
    yearly: lines(calendar?.yearly), dates: lines(calendar?.dates), included: lines(calendar?.included),
    ranges: lines(calendar?.ranges?.map(({ first, last, reason }) => [first, last, reason].filter(Boolean).join(" "))),
  };
}

/** @param {ReturnType<typeof formOf>} form */
function inputOf(form) {
  const items = (/** @type {string} */ text) => text.split(/[\n,]/).map((item) => item.trim()).filter(Boolean);
  const ranges = form.ranges.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const [first, last, ...reason] = line.split(/\s+/);
    return { first, last: last ?? first, reason: reason.join(" ") };
  });
  const input = { name: form.name.trim(), description: form.description, weekdays: form.weekdays, yearly: items(form.yearly), dates: items(form.dates), included: items(form.included), ranges };
  return /** @type {{name: string} & Record<string, unknown>} */ (Object.fromEntries(Object.entries(input).filter(([name, value]) => name === "name" || value.length > 0)));
}
