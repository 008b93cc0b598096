// Things above the page: dialogs, menus, short messages, and the region that is read aloud.
import { html, render, signal, useLayoutEffect, useRef, useState } from "../vendor/vendor.js";
import { Button, Icon } from "./ui.js";

/** @typedef {{id: number, text: string, action?: {words: string, run: () => void}}} Toast */

/** Messages that are shown now. */
export const toasts = signal(/** @type {Toast[]} */ ([]));

let number = 0, dialogs = 0;

/**
 * Show a short message; it is also read aloud.
 * @param {string} text
 * @param {{words: string, run: () => void}} [action] for example to undo
 */
export function toast(text, action) {
  const shown = { id: (number += 1), text, action };
  toasts.value = [...toasts.value.filter((other) => other.text !== text), shown].slice(-3);
  setTimeout(() => dismiss(shown.id), action ? 10_000 : 5000);
}

/** @param {number} id */
function dismiss(id) {
  toasts.value = toasts.value.filter((other) => other.id !== id);
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">${toasts.value.map(({ id, text, action }) =>
    html`<div class="toast" key=${id}><span>${text}</span>${action ? html`<${Button} small onClick=${() => { action.run(); dismiss(id); }}>${action.words}<//>` : null}<${Button} kind="quiet" small icon="close" label="Dismiss" onClick=${() => dismiss(id)} /></div>`)}</div>`;
}

const spoken = signal("");
let spokenAt = 0;
let speaking = 0;

/**
 * Have a screen reader say a sentence. Reports of events say at most one in ten seconds, answers
 * to a key are `now`.
 * @param {string} text
 * @param {{now?: boolean}} [options]
 */
export function say(text, options = {}) {
  clearTimeout(speaking);
  const wait = options.now ? 0 : Math.max(0, spokenAt + 10_000 - performance.now());
  speaking = setTimeout(() => {
    spoken.value = spoken.value === text ? `${text}\u00a0` : text;
    if (!options.now) spokenAt = performance.now();
  }, wait);
}

export function LiveRegion() {
  return html`<div class="sr" aria-live="polite" id="spoken">${spoken.value}</div>`;
}

/**
 * A modal dialog as a component: shown while it is rendered.
 * @param {{title: any, onClose: () => void, children?: any, actions?: any, wide?: boolean, cls?: string, onSubmit?: () => void,
 *   mayClose?: boolean}} props with onSubmit the content is a form
 */
export function Dialog({ title, onClose, children, actions, wide = false, cls = "", onSubmit, mayClose = true }) {
  const ref = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [heading] = useState(() => `dialog-${(dialogs += 1)}`); // useId counts within a root, and confirm has its own
  useLayoutEffect(() => {
    const dialog = /** @type {HTMLDialogElement} */ (ref.current), before = document.activeElement;
    dialog.showModal();
    /** @type {HTMLElement | null} */ (dialog.querySelector("[autofocus]") ?? dialog.querySelector("input:not([readonly]), select, textarea, .dialog-actions button"))?.focus();
    return () => { dialog.close(); if (before instanceof HTMLElement) before.focus(); };
  }, []);
  const cancel = (/** @type {Event} */ event) => { event.preventDefault(); if (mayClose) onClose(); };
  const inside = html`<header><h2 id=${heading}>${title}</h2>${mayClose ? html`<${Button} kind="quiet" icon="close" label="Close" onClick=${onClose} />` : null}</header>
    <div class="dialog-body">${children}</div>${actions ? html`<footer class="dialog-actions">${actions}</footer>` : null}`;
  const submit = (/** @type {Event} */ event) => { event.preventDefault(); onSubmit?.(); };
  return html`<dialog ref=${ref} class=${`${wide ? "wide" : ""} ${cls}`} aria-labelledby=${heading} onCancel=${cancel}
    onClick=${(/** @type {MouseEvent} */ event) => event.target === ref.current && mayClose && onClose()}>${
    onSubmit ? html`<form method="dialog" novalidate onSubmit=${submit}>${inside}</form>` : html`<div>${inside}</div>`}</dialog>`;
}

/**
 * Ask a question; resolves to true for yes.
 * @param {{title: string, text?: any, yes: string, no?: string, danger?: boolean}} question
 * @returns {Promise<boolean>}
 */
export function confirm({ title, text, yes, no = "Cancel", danger = false }) {
  return new Promise((resolve) => {
    const place = document.createElement("div");
    document.body.append(place);
    const end = (/** @type {boolean} */ answer) => {
      render(null, place);
      place.remove();
      resolve(answer);
    };
    render(html`<${Dialog} title=${title} onClose=${() => end(false)} actions=${html`<${Button} onClick=${() => end(false)}>${no}<//><${Button} kind=${danger ? "danger" : "primary"} onClick=${() => end(true)} attrs=${{ autofocus: true }}>${yes}<//>`}>${text}<//>`, place);
  });
}

/**
 * @typedef {{words: string, run?: () => void, href?: string, icon?: string, denied?: string, danger?: boolean, keys?: string}} MenuItem
 */

/**
 * A button that opens a menu; items that may not be used are shown with the reason.
 * @param {{label: string, items: (MenuItem | null)[], icon?: string, children?: any, small?: boolean, kind?: "" | "primary" | "quiet",
 *   named?: boolean}} props named: the label names the button though it has children, which a phone may hide
 */
export function Menu({ label, items, icon = "more", children, small = false, kind = "quiet", named = false }) {
  const [isOpen, setOpen] = useState(false);
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const list = useRef(/** @type {HTMLDivElement | null} */ (null));
  useLayoutEffect(() => {
    if (!isOpen) return undefined;
    const outside = (/** @type {Event} */ event) => { if (!box.current?.contains(/** @type {Node} */ (event.target))) setOpen(false); };
    document.addEventListener("pointerdown", outside);
    /** @type {HTMLElement | null | undefined} */ (list.current?.querySelector("[role=menuitem]"))?.focus();
    return () => document.removeEventListener("pointerdown", outside);
  }, [isOpen]);
  const close = () => { setOpen(false); /** @type {HTMLElement | null | undefined} */ (box.current?.querySelector("button"))?.focus(); };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const all = /** @type {HTMLElement[]} */ ([...(list.current?.querySelectorAll("[role=menuitem]") ?? [])]);
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") close();
    if (to !== undefined) all[(to + all.length) % all.length]?.focus();
    if (to !== undefined || event.key === "Escape") { event.preventDefault(); event.stopPropagation(); }
  };
  const hasIcons = items.some((item) => item?.icon);
  const run = (/** @type {MenuItem} */ item) => { if (item.denied) return; close(); item.run?.(); };
  return html`<div class="menu" ref=${box}><${Button} kind=${kind} small=${small} icon=${icon} label=${children && !named ? undefined : label} attrs=${{ "aria-haspopup": "menu", "aria-expanded": String(isOpen) }} onClick=${() => setOpen(!isOpen)}>${children}<//>${
    isOpen ? html`<div class="menu-list" role="menu" aria-label=${label} ref=${list} onKeyDown=${onKey}>${items.filter((item) => item !== null).map((item) => {
      const inside = html`${item.icon ? html`<${Icon} name=${item.icon} />` : hasIcons ? html`<i class="icon"></i>` : null}<span class="grow">${item.words}${item.denied ? html`<small>${item.denied}</small>` : null}</span>${item.keys ? html`<kbd>${item.keys}</kbd>` : null}`;
      return item.href && !item.denied
        ? html`<a key=${item.words} role="menuitem" tabindex="-1" href=${item.href} onClick=${() => setOpen(false)}>${inside}</a>`
        : html`<button key=${item.words} role="menuitem" tabindex="-1" type="button" class=${item.danger ? "danger" : ""} aria-disabled=${item.denied ? "true" : undefined} onClick=${() => run(item)}>${inside}</button>`;
    })}</div>` : null}</div>`;
}
