// A text field that offers completions: the filter of a list, the name of a service or a time zone.

import { html, useEffect, useId, useRef, useState } from "../vendor/vendor.js";

/** @typedef {{start: number, options: string[]}} Completion options replace the text from `start` on */

/**
 * @typedef {object} CompletingProps
 * @property {string} value
 * @property {(text: string) => void} onInput
 * @property {(text: string) => Completion | Promise<Completion>} complete
 * @property {string} [label] its name, unless a label element names it
 * @property {string} [id]
 * @property {string} [placeholder]
 * @property {string} [cls]
 * @property {boolean} [isWrong]
 * @property {string} [describedBy]
 * @property {string} [hint] a key to show at its end
 * @property {boolean} [isOff]
 */

const SETTLE_MS = 60;

/** @param {CompletingProps} props */
export function Completing({ value, onInput, complete, label, id, placeholder, cls = "", isWrong = false, describedBy, hint, isOff = false }) {
  const [found, setFound] = useState(/** @type {Completion} */ ({ start: 0, options: [] }));
  const [isOpen, setOpen] = useState(false);
  const [at, setAt] = useState(-1);
  const list = useId();
  const asked = useRef(0), timer = useRef(0);
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const latest = useRef(complete);
  latest.current = complete;
  useEffect(() => () => clearTimeout(timer.current), []);
  const ask = (/** @type {string} */ text) => {
    asked.current += 1;
    const mine = asked.current;
    clearTimeout(timer.current);
    timer.current = setTimeout(async () => {
      const completion = await latest.current(text);
      if (mine !== asked.current) return;
      setFound(completion);
      setAt(-1);
      setOpen(completion.options.length > 0 && document.activeElement === input.current);
    }, SETTLE_MS);
  };
  const close = () => {
    asked.current += 1;
    setOpen(false);
    setAt(-1);
  };
  const take = (/** @type {string} */ option) => {
    onInput(value.slice(0, found.start) + option);
    close();
    if (option.endsWith(":")) ask(value.slice(0, found.start) + option);
    input.current?.focus();
  };
  const type = (/** @type {any} */ event) => {
    onInput(event.target.value);
    ask(event.target.value.slice(0, event.target.selectionStart ?? undefined));
  };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], count = found.options.length;
    const option = found.options[at];
    if (step && !isOpen) ask(value);
    else if (step && count) setAt((at + step + count) % count);
    else if (isOpen && event.key === "Escape") close();
    else if (isOpen && option !== undefined && (event.key === "Enter" || event.key === "Tab")) take(option);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return html`<div class="combo" onFocusOut=${close}>
    <input ref=${input} id=${id} class=${cls} type="text" role="combobox" autocomplete="off" spellcheck=${false} aria-label=${label} placeholder=${placeholder} disabled=${isOff}
      aria-expanded=${String(isOpen)} aria-controls=${list} aria-autocomplete="list" aria-activedescendant=${at >= 0 ? `${list}-${at}` : undefined}
      aria-invalid=${isWrong ? "true" : undefined} aria-describedby=${describedBy} value=${value} onInput=${type} onKeyDown=${onKey} />${hint ? html`<kbd aria-hidden="true">${hint}</kbd>` : null}
    <div class="search-list" id=${list} role="listbox" aria-label="Completions" hidden=${!isOpen}>${found.options.map((option, index) => html`<div key=${option} id=${`${list}-${index}`} role="option" aria-selected=${String(index === at)}
      onPointerDown=${(/** @type {Event} */ event) => { event.preventDefault(); take(option); }}>${option}</div>`)}</div></div>`;
}
