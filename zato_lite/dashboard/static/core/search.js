// Search over the pages: jobs and services by a part of their name.
import { html, useEffect, useId, useLayoutEffect, useRef, useState } from "../vendor/vendor.js";
import { pageUrl } from "./base.js";
import { invoke } from "./api.js";
import { navigate } from "./router.js";
import { may } from "./session.js";
import { Icon } from "./ui.js";

/** @typedef {{href: string, words: string, note: string, icon: string}} Found */

const SETTLE_MS = 120;
const MOST = 7;

/**
 * @param {string} text
 * @returns {Promise<Found[]>}
 */
async function find(text) {
  const asked = [];
  if (may("zato.scheduler.job.get-list")) asked.push(invoke("zato.scheduler.job.get-list", { query: text, page_size: MOST }).then(itemsOf).then((list) => list.map((job) => ({ href: pageUrl(`/jobs/${job.id}`), words: job.name, note: job.service, icon: "jobs" }))));
  if (may("zato.service.get-list")) asked.push(invoke("zato.service.get-list", { query: text }).then(itemsOf).then((list) => list.filter((item) => item.name.includes(text)).slice(0, MOST).map((item) => ({ href: pageUrl(`/services/${encodeURIComponent(item.name)}`), words: item.name, note: "service", icon: "services" }))));
  const settled = await Promise.allSettled(asked);
  return settled.flatMap((part) => (part.status === "fulfilled" ? part.value : [])).slice(0, 2 * MOST);
}

/**
 * Lists come as a list, or with their total.
 * @param {any} answer
 * @returns {any[]}
 */
export function itemsOf(answer) {
  if (Array.isArray(answer)) return answer;
  return answer?.rows ?? answer?.items ?? [];
}

/** What was being written when a page gave way to another one, where it goes on; null without focus. */
let unfinished = /** @type {string | null} */ (null);

export function GlobalSearch() {
  const [text, setText] = useState(""), [found, setFound] = useState(/** @type {Found[]} */ ([])), [at, setAt] = useState(-1), [isOpen, setOpen] = useState(false);
  const list = useId(), box = useRef(/** @type {HTMLElement | null} */ (null)), input = useRef(/** @type {HTMLInputElement | null} */ (null));
  useLayoutEffect(() => {
    const field = /** @type {HTMLInputElement} */ (input.current);
    if (unfinished !== null) { setText(unfinished); field.focus({ preventScroll: true }); }
    unfinished = null;
    return () => { unfinished = document.activeElement === field ? field.value : null; };
  }, []);
  useEffect(() => {
    const wanted = text.trim();
    if (!wanted) { setFound([]); return undefined; }
    let isLatest = true;
    const timer = setTimeout(async () => {
      const items = await find(wanted);
      if (isLatest) { setFound(items); setAt(-1); setOpen(true); }
    }, SETTLE_MS);
    return () => { isLatest = false; clearTimeout(timer); };
  }, [text]);
  const close = () => { setOpen(false); setAt(-1); };
  const open = (/** @type {string} */ href) => { close(); setText(""); /** @type {HTMLElement} */ (document.activeElement)?.blur(); void navigate(href); };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found.length) { event.preventDefault(); setOpen(true); setAt((at + step + found.length) % found.length); }
    else if (event.key === "Enter" && text.trim()) { event.preventDefault(); open(found[at]?.href ?? pageUrl("/jobs", { q: text.trim() })); }
    else if (event.key === "Escape") { if (isOpen) close(); else { setText(""); /** @type {HTMLElement} */ (event.target).blur(); } }
  };
  const leave = (/** @type {FocusEvent} */ event) => { if (!box.current?.contains(/** @type {Node | null} */ (event.relatedTarget))) close(); };
  const isShown = isOpen && text.trim() !== "";
  return html`<div class="search" ref=${box} onFocusOut=${leave}><${Icon} name="search" /><input ref=${input} type="search" role="combobox" placeholder="Search jobs and services" aria-label="Search jobs and services" aria-expanded=${String(isShown)} aria-controls=${list} aria-autocomplete="list"
      aria-activedescendant=${at >= 0 ? `${list}-${at}` : undefined} value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} onKeyDown=${onKey} /><kbd aria-hidden="true">/</kbd>
    <div class="search-list" id=${list} role="listbox" aria-label="Found" hidden=${!isShown}>${found.map((item, i) => html`<div key=${item.href} id=${`${list}-${i}`} role="option" aria-selected=${i === at ? "true" : "false"} onPointerDown=${(/** @type {Event} */ event) => { event.preventDefault(); open(item.href); }}><${Icon} name=${item.icon} /><span class="grow">${item.words}</span><small>${item.note}</small></div>`)}${
    isShown && found.length === 0 ? html`<div role="option" aria-disabled="true" class="muted">No job or service has “${text.trim()}” in its name.</div>` : null}</div></div>`;
}
