// Keys: single letters act on the page, never while a field has the focus; `?` shows them all.
import { html, signal, useLayoutEffect, useRef } from "../vendor/vendor.js";
import { remember, remembered } from "./base.js";
import { Dialog } from "./dialog.js";

/** @typedef {{keys: string, words: string, run: (event: KeyboardEvent) => any, group?: string, hidden?: boolean}} KeyBinding */

/** Single letters can be switched off (WCAG 2.1.4). */
export const lettersOn = signal(remembered("letters", "on") === "on");

const isSheetOpen = signal(false);
/** @type {{binding: KeyBinding}[]} */
let bindings = [];
let prefix = "";
let prefixTimer = 0;

/**
 * Bind keys while a component is shown. `keys` is "r", "g o" (one after the other), "Shift-x",
 * "Ctrl-s" (also Cmd) or a name such as "ArrowLeft"; the latest binding of a key wins.
 * @param {KeyBinding[]} wanted
 */
export function useKeys(wanted) {
  const latest = useRef(wanted);
  latest.current = wanted;
  const names = wanted.map((item) => item.keys).join("|");
  useLayoutEffect(() => { // what is seen can be used
    const own = latest.current.map((item, i) => ({ binding: { ...item, run: (/** @type {KeyboardEvent} */ event) => latest.current[i]?.run(event) } }));
    bindings = [...bindings, ...own];
    return () => { bindings = bindings.filter((other) => !own.includes(other)); };
  }, [names]);
}

/** Open the sheet with all keys. */
export function showKeys() {
  isSheetOpen.value = true;
}

/** Handle the keys of the whole page. */
export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const key = nameOf(event), isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (isPlain && (isField(event.target) || isInDialog(event) || (isLetter(key) && !lettersOn.value))) return;
    const found = (prefix && find(`${prefix} ${key}`)) || find(key);
    clearTimeout(prefixTimer);
    prefix = "";
    if (found) {
      event.preventDefault();
      found.run(event);
    } else if (isPlain && bindings.some(({ binding }) => binding.keys.startsWith(`${key} `))) {
      prefix = key;
      prefixTimer = setTimeout(() => { prefix = ""; }, 1200);
    }
  });
}

/** @param {string} keys */
function find(keys) {
  return bindings.findLast(({ binding }) => binding.keys === keys)?.binding;
}

/** @param {KeyboardEvent} event */
function nameOf(event) {
  const key = event.key === " " ? "Space" : event.key;
  const withShift = event.shiftKey && (key.length > 1 || /[a-z]/i.test(key)) ? `Shift-${key.length > 1 ? key : key.toLowerCase()}` : key;
  return event.ctrlKey || event.metaKey ? `Ctrl-${withShift.toLowerCase()}` : withShift;
}

/** @param {string} key */
function isLetter(key) {
  return key.length === 1 || /^Shift-.$/.test(key);
}

/** @param {EventTarget | null} target */
function isField(target) {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(TEXTAREA|SELECT)$/.test(target.tagName) || (target instanceof HTMLInputElement && !/^(checkbox|radio|button)$/.test(target.type));
}

/**
 * Focus an element that comes some time after the key or the click that asked for it, unless its
 * user writes in a field meanwhile.
 * @param {HTMLElement | null} element
 */
export function focusLate(element) {
  if (!isField(document.activeElement)) element?.focus({ preventScroll: true });
}

/** @param {KeyboardEvent} event */
function isInDialog(event) {
  return /** @type {HTMLElement} */ (event.target).closest("dialog, [role=menu]") !== null || document.querySelector("dialog[open]") !== null;
}

/** @param {{keys: string}} props */
export function Keys({ keys }) {
  return html`<span class="keys">${keys.split(" ").map((key) => html`<kbd>${key.replace("Arrow", "").replace("Left", "←").replace("Right", "→").replace("Up", "↑").replace("Down", "↓").replace("-", " ")}</kbd>`)}</span>`;
}

export function KeySheet() {
  if (!isSheetOpen.value) return null;
  /** @type {Map<string, KeyBinding[]>} */
  const groups = new Map();
  for (const { binding } of bindings) {
    if (binding.hidden) continue;
    const group = binding.group ?? "This page";
    const list = (groups.get(group) ?? []).filter((other) => other.keys !== binding.keys);
    groups.set(group, [...list, binding]);
  }
  const toggle = () => { lettersOn.value = !lettersOn.value; remember("letters", lettersOn.value ? "on" : "off"); };
  return html`<${Dialog} title="Keys" wide cls="key-sheet" onClose=${() => { isSheetOpen.value = false; }}>
    <div class="key-groups">${[...groups].reverse().map(([group, list]) => html`<section key=${group}><h3>${group}</h3><dl>${list.map((item) => html`<div key=${item.keys}><dt><${Keys} keys=${item.keys} /></dt><dd>${item.words}</dd></div>`)}</dl></section>`)}</div>
    <label class="check"><input type="checkbox" checked=${lettersOn.value} onChange=${toggle} /> Single letters act (switch this off for speech input)</label><//>`;
}
