// A table of any length: only the rows that are seen exist; on a phone each row is a card.

import { useKeys } from "../core/keys.js";
import { Icon } from "../core/ui.js";
import { count } from "../core/words.js";
import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/vendor.js";

/**
 * @typedef {object} Column
 * @property {string} key
 * @property {any} words the heading
 * @property {(row: any) => any} cell
 * @property {string} [sort] the name by which the server sorts it
 * @property {string} [cls]
 */

/**
 * @typedef {object} Selection
 * @property {(row: any) => boolean} has
 * @property {(row: any, isRange: boolean) => void} toggle
 * @property {boolean} isAll
 * @property {() => void} toggleAll
 * @property {string} allLabel
 */

/**
 * @typedef {object} TableProps
 * @property {string} label
 * @property {Column[]} columns
 * @property {number} total
 * @property {(index: number) => any} rowAt
 * @property {(row: any) => string | number} keyOf
 * @property {(row: any) => string} nameOf what a row is called
 * @property {(first: number, last: number) => void} [onSee]
 * @property {string} [sort]
 * @property {string} [dir]
 * @property {(sort: string, dir: string) => void} [onSort]
 * @property {Selection} [selection]
 * @property {(row: any) => void} [onOpen]
 * @property {(row: any) => import("../core/keys.js").KeyBinding[]} [keysOf] of the row that has the focus
 * @property {number} [height] of a row
 * @property {number} [cardHeight] of a row on a phone
 * @property {boolean} [stale]
 */

const OVERSCAN = 6;
/** Rows that are drawn, by key: a row that has not changed is the same node and costs nothing. @typedef {Map<any, {row: any, index: number, isAt: boolean, isChosen: boolean | undefined, columns: Column[], node: any}>} Drawn */
/** Browsers stop at some 33 million pixels. */
const MOST_PIXELS = 30_000_000;
const PHONE = "(max-width: 640px)";

/** @param {TableProps} props */
export function VirtualTable(props) {
  const { label, columns, rowAt, keyOf, nameOf, selection, height = 46, cardHeight = 132, stale = false } = props;
  const body = useRef(/** @type {HTMLTableSectionElement | null} */ (null));
  const isPhone = useMedia(PHONE), rowHeight = isPhone ? cardHeight : height;
  const total = Math.min(props.total, Math.floor(MOST_PIXELS / rowHeight));
  const [first, last] = useRange(body, total, rowHeight);
  const [at, setAt] = useState(-1);
  useEffect(() => props.onSee?.(first, last), [first, last, props.total]);
  const move = (/** @type {number} */ step) => focusRow(body.current, Math.max(0, Math.min(total - 1, at + step)), rowHeight, setAt);
  const row = at >= 0 && at < total ? rowAt(at) : undefined;
  useKeys([
    { keys: "j", words: "Next row", run: () => move(1) },
    { keys: "k", words: "Previous row", run: () => move(-1) },
    ...(selection ? [
      { keys: "x", words: "Select the row", run: () => row && selection.toggle(row, false) },
      { keys: "Shift-x", words: "Select up to the row", run: () => row && selection.toggle(row, true) },
    ] : []),
    ...(row && props.keysOf ? props.keysOf(row) : []),
  ]);
  const rows = []; // none has a cell over several columns: it would add those that a narrow page hides
  const latest = useRef({ selection, drawn: /** @type {Drawn} */ (new Map()) }), drawn = /** @type {Drawn} */ (new Map());
  const toggle = useMemo(() => (/** @type {any} */ row, /** @type {boolean} */ isRange) => latest.current.selection?.toggle(row, isRange), []);
  for (let index = first; index < last; index += 1) {
    const each = rowAt(index);
    if (each === undefined) {
      rows.push(html`<tr key=${`wait-${index}`} class="waiting" aria-rowindex=${index + 2}><td></td><td><i></i></td></tr>`);
      continue;
    }
    const key = keyOf(each), isAt = index === at, isChosen = selection?.has(each), old = latest.current.drawn.get(key);
    const isSame = old && old.row === each && old.index === index && old.isAt === isAt && old.isChosen === isChosen && old.columns === columns;
    const node = isSame ? old.node : html`<${Row} key=${key} row=${each} index=${index} columns=${columns} name=${nameOf(each)} isChosen=${isChosen} toggle=${toggle} isAt=${isAt} onFocus=${setAt} />`;
    drawn.set(key, { row: each, index, isAt, isChosen, columns, node });
    rows.push(node);
  }
  latest.current = { selection, drawn };
  return html`<div class=${`table-box ${stale ? "stale" : ""}`} aria-busy=${stale ? "true" : undefined}>
    <table class="table" style=${{ "--card": `${cardHeight}px` }} aria-rowcount=${props.total + 1} aria-label=${label}>
      <thead><tr aria-rowindex="1">${selection && html`<th class="check-cell"><input type="checkbox" aria-label=${selection.allLabel} checked=${selection.isAll} onChange=${selection.toggleAll} /></th>`}
        ${columns.map((column) => html`<${Heading} key=${column.key} column=${column} sort=${props.sort} dir=${props.dir} onSort=${props.onSort} />`)}</tr></thead>
      <tbody ref=${body}>
        ${first > 0 && html`<tr class="space" aria-hidden="true" key="before"><td style=${{ height: `${first * rowHeight}px` }}></td></tr>`}
        ${rows}
        ${last < total && html`<tr class="space" aria-hidden="true" key="after"><td style=${{ height: `${(total - last) * rowHeight}px` }}></td></tr>`}
      </tbody></table>
    ${total < props.total && html`<p class="muted small pad">The first ${count(total)} rows. Filter to see the others.</p>`}</div>`;
}

/**
 * @param {{row: any, index: number, columns: Column[], name: string, isChosen: boolean | undefined, toggle: Selection["toggle"], isAt: boolean, onFocus: (index: number) => void}} props
 *   isChosen: undefined in a table without a selection
 */
function Row({ row, index, columns, name, isChosen, toggle, isAt, onFocus }) {
  const choose = (/** @type {MouseEvent} */ event) => toggle(row, event.shiftKey);
  return html`<tr class=${isAt ? "at" : ""} aria-rowindex=${index + 2} aria-selected=${isChosen === undefined ? undefined : String(isChosen)} onFocusIn=${() => onFocus(index)}>
    ${isChosen !== undefined && html`<td class="check-cell"><input type="checkbox" aria-label=${`Select ${name}`} checked=${isChosen} onClick=${choose} /></td>`}
    ${columns.map((column) => html`<td key=${column.key} class=${column.cls ?? ""}>${column.cell(row)}</td>`)}</tr>`;
}

/** @param {{column: Column, sort: string | undefined, dir: string | undefined, onSort: TableProps["onSort"]}} props */
function Heading({ column, sort, dir, onSort }) {
  if (!column.sort || !onSort) return html`<th class=${column.cls ?? ""} scope="col">${column.words}</th>`;
  const name = column.sort, isSorted = sort === name;
  const turn = () => onSort(name, isSorted && dir !== "desc" ? "desc" : "asc");
  return html`<th class=${column.cls ?? ""} scope="col" aria-sort=${isSorted ? (dir === "desc" ? "descending" : "ascending") : undefined}>
    <button type="button" onClick=${turn}>${column.words}${isSorted && html`<${Icon} name=${dir === "desc" ? "down" : "up"} />`}</button></th>`;
}

/**
 * Return the rows that are seen, with some more on both sides.
 *
 * @param {{current: HTMLElement | null}} body
 * @param {number} total
 * @param {number} height
 * @returns {[number, number]}
 */
function useRange(body, total, height) {
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    const measure = () => {
      const box = body.current?.getBoundingClientRect();
      if (box) setTop(Math.max(0, Math.floor(-box.top / height)));
    };
    measure();
    addEventListener("scroll", measure, { passive: true });
    addEventListener("resize", measure);
    return () => {
      removeEventListener("scroll", measure);
      removeEventListener("resize", measure);
    };
  }, [height, total]);
  const first = Math.max(0, Math.min(top, total - 1) - OVERSCAN);
  return [first, Math.min(total, first + Math.ceil(innerHeight / height) + 2 * OVERSCAN)];
}

/**
 * @param {HTMLElement | null} body
 * @param {number} index
 * @param {number} height
 * @param {(index: number) => void} done
 */
function focusRow(body, index, height, done) {
  if (!body || index < 0) return;
  const top = body.getBoundingClientRect().top + scrollY + index * height;
  if (top < scrollY + 120) scrollTo(0, top - 120);
  else if (top + height > scrollY + innerHeight - 60) scrollTo(0, top + height - innerHeight + 60);
  done(index);
  requestAnimationFrame(() => {
    /** @type {HTMLElement | null} */ (body.querySelector(`[aria-rowindex="${index + 2}"] a`))?.focus({ preventScroll: true });
  });
}

/**
 * @param {string} query
 * @returns {boolean}
 */
export function useMedia(query) {
  const [matches, set] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query), change = () => set(media.matches);
    media.addEventListener("change", change);
    return () => media.removeEventListener("change", change);
  }, [query]);
  return matches;
}
