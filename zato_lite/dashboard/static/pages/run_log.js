// The log of a run: it follows the run while it goes on, by level and by words.

import { setQuery } from "../core/router.js";
import { instant, longTime, shownZone } from "../core/time.js";
import { Card, CopyButton, Empty, Segments } from "../core/ui.js";
import { some } from "../core/words.js";
import { CHOICES, chosenLines, rank, useLog } from "../lib/log.js";
import { html, useLayoutEffect, useRef, useState } from "../vendor/vendor.js";

/** @typedef {import("../lib/log.js").LogLine} LogLine */

const LEVELS = /** @type {[string, string][]} */ (CHOICES.map(([key, words]) => [key, words]));
const MOST_SHOWN = 2000;
const MARKS = ["", "", "warn", "error"];

/** @param {{job: number, run: number, level: string, isOpen: boolean}} props */
export function RunLog({ job, run, level, isOpen }) {
  const log = useLog(job, run);
  const [search, setSearch] = useState("");
  const [isFollowing, follow] = useState(true);
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const chosen = chosenLines(log.lines, level, search);
  useLayoutEffect(() => {
    if (isFollowing && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [chosen.length, isFollowing]);
  const onScroll = () => {
    const element = box.current;
    if (element) follow(element.scrollHeight - element.scrollTop - element.clientHeight < 24);
  };
  const text = chosen.map((line) => `${line.timestamp_iso} ${line.level} ${line.message}`).join("\n");
  return html`<${Card} title="Log" cls="log" actions=${html`
    <span class="small muted" role="status">${stateWords(log, isOpen)}</span>
    <label class="check small"><input type="checkbox" checked=${isFollowing} onChange=${(/** @type {any} */ event) => follow(event.target.checked)} /> Follow</label>
    <${Segments} label="Level" options=${LEVELS} value=${level} onChange=${(/** @type {string} */ key) => setQuery({ level: key === "all" ? null : key })} />
    <input class="input log-search" type="search" placeholder="Search the log" aria-label="Search the log" value=${search} onInput=${(/** @type {any} */ event) => setSearch(event.target.value)} />
    <${CopyButton} text=${text} label="Copy these lines" />`}>
    ${chosen.length > MOST_SHOWN && html`<p class="small muted pad">The latest ${MOST_SHOWN} of ${some(chosen.length, "line")}; copy has all.</p>`}
    <div class="log-lines" ref=${box} tabindex="0" role="log" aria-live="off" aria-label="Lines of the log" onScroll=${onScroll}>
      ${chosen.length === 0 ? html`<p class="muted pad">${emptyWords(log, search)}</p>` : html`<ol>${chosen.slice(-MOST_SHOWN).map((line, index) => html`<${Line} key=${index} line=${line} />`)}</ol>`}
    </div>
  <//>`;
}

/** @param {{line: LogLine}} props */
function Line({ line }) {
  const at = instant(line.timestamp_iso) ?? 0, zone = shownZone();
  const mark = line.level === "SYSTEM" ? "system" : MARKS[rank(line.level)];
  const [, clock, fraction = ".000"] = /(\d+:\d+:\d+)(\.\d+)?/.exec(longTime(at, zone)) ?? [];
  return html`<li class=${`line ${mark}`}><time datetime=${line.timestamp_iso} title=${longTime(at, zone)}>${clock}${fraction}</time><span class="level">${line.level === "INFO" ? "" : line.level.toLowerCase()}</span><span class="message">${line.message}</span></li>`;
}

/**
 * @param {import("../lib/log.js").Log} log
 * @param {boolean} isOpen
 */
function stateWords(log, isOpen) {
  const lines = some(log.lines.length, "line");
  if (log.state === "lost") return `${lines}; not connected, trying again`;
  if (log.state === "ended") return `${lines}; the run has ended`;
  return isOpen ? `${lines}; more as they come` : lines;
}

/**
 * @param {import("../lib/log.js").Log} log
 * @param {string} search
 */
function emptyWords(log, search) {
  if (search || log.lines.length) return "No line matches; choose another level or other words.";
  return log.state === "ended" ? "This run has written nothing." : "Nothing yet.";
}
