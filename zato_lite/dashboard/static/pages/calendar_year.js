// Twelve months with their days off.

import { dayOf, MINE, now } from "../core/time.js";
import { html } from "../vendor/vendor.js";

/** @typedef {{date: string, reason: string}} DayOff */

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const HEADS = ["M", "T", "W", "T", "F", "S", "S"];

/** @param {{year: number, days: DayOff[]}} props */
export function YearGrid({ year, days }) {
  const off = new Map(days.map((day) => [day.date, day.reason]));
  return html`<div class="months">${MONTHS.map((_, month) => html`<${Month} key=${month} year=${year} month=${month} off=${off} />`)}</div>
    <details class="pad"><summary>The same as a list</summary><ul class="plain-box small">${days.map((day) => html`<li key=${day.date}><span class="num">${day.date}</span> <span class="isolate muted">${day.reason}</span></li>`)}</ul></details>`;
}

/** @param {{year: number, month: number, off: Map<string, string>}} props */
function Month({ year, month, off }) {
  const length = new Date(Date.UTC(year, month + 1, 0)).getUTCDate(), first = (new Date(Date.UTC(year, month, 1)).getUTCDay() + 6) % 7;
  const today = dayOf(now.peek(), MINE), cells = [];
  for (let index = 0; index < first; index += 1) cells.push(html`<i key=${`e${index}`}></i>`);
  for (let day = 1; day <= length; day += 1) {
    const date = `${year}-${String(month + 1).padStart(2, "0")}-${String(day).padStart(2, "0")}`, reason = off.get(date);
    cells.push(html`<span key=${date} class=${`cell ${reason === undefined ? "" : "off"} ${date === today ? "today" : ""}`} title=${reason === undefined ? undefined : `${date}: ${reason}`}>${day}</span>`);
  }
  const count = cells.length ? [...off.keys()].filter((date) => date.startsWith(`${year}-${String(month + 1).padStart(2, "0")}`)).length : 0;
  return html`<section class="month" aria-label=${`${MONTHS[month]}: ${count} days off`}><h3>${MONTHS[month]}</h3><div class="month-days" aria-hidden="true">${HEADS.map((head, index) => html`<b key=${index}>${head}</b>`)}${cells}</div></section>`;
}
