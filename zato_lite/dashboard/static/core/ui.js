// Controls and states that all pages share.
import { html, useEffect, useId, useRef, useState } from "../vendor/vendor.js";
import { toast } from "./dialog.js";
import { connection } from "./live.js";

/** @typedef {import("../vendor/vendor.js").ComponentChildren} Children */

/**
 * A button. `denied` is the reason why it may not be used: it is then shown disabled, can be
 * focused, and says the reason.
 * @param {{children?: Children, onClick?: (event: MouseEvent) => any, href?: string, denied?: string,
 *   busy?: boolean, kind?: "" | "primary" | "danger" | "quiet", small?: boolean, icon?: any, label?: string,
 *   type?: "button" | "submit", cls?: string, keys?: string, attrs?: Record<string, any>}} props
 */
export function Button({ children, onClick, href, denied = "", busy = false, kind = "", small = false, icon, label, type = "button", cls = "", keys, attrs }) {
  const name = `btn ${kind} ${small ? "small" : ""} ${children ? "" : "bare"} ${cls}`;
  const inside = html`${busy ? html`<span class="spin" aria-hidden="true"></span>` : icon ? html`<${Icon} name=${icon} />` : null}${children}`;
  const title = denied || (keys ? `${label ?? ""} (${keys})`.trim() : label);
  if (href && !denied) return html`<a class=${name} href=${href} aria-label=${label} title=${title} ...${attrs}>${inside}</a>`;
  const isOff = denied !== "" || busy;
  const click = (/** @type {MouseEvent} */ event) => {
    if (!isOff) return onClick?.(event);
    event.preventDefault();
    if (denied) toast(`Not possible: ${denied}.`);
    return undefined;
  };
  return html`<button class=${name} type=${type} onClick=${click} aria-disabled=${isOff ? "true" : undefined} aria-busy=${busy ? "true" : undefined}
    aria-label=${label} title=${title} ...${attrs}>${inside}${denied ? html`<span class="sr"> (${denied})</span>` : null}</button>`;
}

const ICONS = /** @type {Record<string, string>} */ ({
  overview: "M2 4.200h6M5 8h8.500M3 11.800h6.500", jobs: "M2.500 3.500h11v9.500h-11zM2.500 6.700h11M6.200 3.500V13", runs: "M1.800 8h2.700l2-4.700 3 9.400 2-4.700h2.700",
  services: "M8 1.900l5.300 3v6.200L8 14.100l-5.300-3V4.900zM2.900 5L8 8l5.100-3M8 8v5.900", calendars: "M2.500 3.500h11v10h-11zM2.500 7h11M5.500 1.800v3M10.500 1.800v3",
  nodes: "M2.200 2.700h11.600v4.200H2.200zM2.200 9.100h11.600v4.200H2.200zM4.800 4.800h.1M4.800 11.200h.1", people: "M6 8a2.600 2.600 0 1 0 0-5.200A2.600 2.600 0 0 0 6 8zM1.600 13.800c.3-2.900 1.900-4.200 4.400-4.200s4.100 1.300 4.400 4.200M10.800 3.200a2.400 2.400 0 0 1 0 4.600M12.200 9.900c1.400.5 2.100 1.800 2.300 3.900",
  audit: "M4 1.900h5.900L12.800 4.800v9.300H4zM6.400 7.200h4M6.400 10.200h4", forecast: "M2.300 2.300h3.200v3.200H2.300zM6.700 2.300h3.200v3.200H6.700zM11 2.300h2.700v3.200H11zM2.300 6.700h3.200v3.200H2.300zM6.700 6.700h3.200v3.200H6.700zM2.300 11h3.200v2.700H2.300z",
  search: "M7 11.500a4.500 4.500 0 1 0 0-9a4.500 4.500 0 1 0 0 9zM10.400 10.400L14 14", plus: "M8 3v10M3 8h10", minus: "M3 8h10", more: "M3.500 8h.1M8 8h.1M12.500 8h.1", close: "M4 4l8 8M12 4l-8 8", left: "M10 3L5 8l5 5", right: "M6 3l5 5-5 5", up: "M3.500 10L8 5.500 12.500 10", down: "M3.500 6L8 10.500 12.500 6",
  play: "M5 3l8 5-8 5z", pause: "M5.500 3v10M10.500 3v10", edit: "M3 13l.6-2.800 7.200-7.200 2.200 2.200-7.200 7.200zM9.400 4.400l2.200 2.200", copy: "M5.500 5.500h8v8h-8zM3 10.500h-.5v-8h8V3", trash: "M3 4.500h10M6.500 4.500v-2h3v2M4.500 4.500l.6 9h5.800l.6-9", check: "M3 8.500l3.200 3.200L13 4.800", menu: "M2.500 4.500h11M2.500 8h11M2.500 11.500h11", reload: "M13 8a5 5 0 1 1-1.600-3.700M13 2.300v2.700h-2.700", help: "M6 6a2 2 0 1 1 2.800 1.900c-.6.300-.8.700-.8 1.400M8 11.700v.1", user: "M8 8a2.800 2.800 0 1 0 0-5.600A2.800 2.800 0 0 0 8 8zM2.800 14c.3-3.100 2.200-4.500 5.200-4.500s4.900 1.400 5.200 4.500", link: "M9.500 3H13v3.500M13 3L7.500 8.500M11 9.500V13H3V5h3.500",
});

/**
 * An icon of 16 pixels; decoration, so that the control beside it needs a name.
 * @param {{name: string}} props
 */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.500" stroke-linecap="round" stroke-linejoin="round"><path d=${ICONS[name] ?? ""} /></svg>`;
}

/**
 * One of several: `<${Segments} label="Span" options=${[["1h", "1 h"]]} value onChange />`.
 * @param {{label: string, options: [string, any, string?][], value: string, onChange: (value: string) => void, cls?: string}} props
 */
export function Segments({ label, options, value, onChange, cls = "" }) {
  return html`<div class=${`segments ${cls}`} role="group" aria-label=${label}>${options.map(([key, words, title]) =>
    html`<button key=${key} type="button" aria-pressed=${key === value ? "true" : "false"} title=${title} onClick=${() => onChange(key)}>${words}</button>`)}</div>`;
}

/**
 * A chip that is on or off, with a count.
 * @param {{children?: Children, isOn: boolean, onClick: () => void, count?: string | number, title?: string, denied?: boolean}} props
 */
export function Chip({ children, isOn, onClick, count, title }) {
  return html`<button class="chip" type="button" aria-pressed=${isOn ? "true" : "false"} title=${title} onClick=${onClick}>${children}${
    count === undefined ? null : html`<b>${count}</b>`}</button>`;
}

/**
 * Tabs that are links, so that each has an address.
 * @param {{label: string, tabs: [string, string, any][], current: string}} props key, href, words
 */
export function Tabs({ label, tabs, current }) {
  return html`<nav class="tabs" aria-label=${label}>${tabs.map(([key, href, words]) =>
    html`<a key=${key} href=${href} aria-current=${key === current ? "page" : undefined}>${words}</a>`)}</nav>`;
}

/**
 * A card with a heading: `<${Card} title="Next" actions=${…}>…`.
 * @param {{title?: any, actions?: any, children?: Children, cls?: string, id?: string, stale?: boolean}} props
 */
export function Card({ title, actions, children, cls = "", id, stale = false }) {
  const heading = useId();
  return html`<section class=${`card ${cls} ${stale ? "stale" : ""}`} id=${id} aria-labelledby=${title ? heading : undefined} aria-busy=${stale ? "true" : undefined}>${
    title ? html`<header><h2 id=${heading}>${title}</h2><span class="grow"></span>${actions}</header>` : null}${children}</section>`;
}

/**
 * A place without data: what it means and what to do.
 * @param {{title: string, children?: Children, actions?: any}} props
 */
export function Empty({ title, children, actions }) {
  return html`<div class="empty"><h2>${title}</h2>${children ? html`<div class="muted">${children}</div>` : null}${
    actions ? html`<div class="row">${actions}</div>` : null}</div>`;
}

/**
 * An error in the server's own words, with its correlation id.
 * @param {{error: import("./api.js").ApiError | null, retry?: () => void, what?: string, isKept?: boolean}} props
 *   isKept: the last data stays below it
 */
export function ErrorBox({ error, retry, what, isKept = false }) {
  if (!error || (isKept && error.status === 0 && connection.value === "offline")) return null; // the bar says it once
  const text = error.status === 403 ? `Not permitted: ${error.message}` : error.message;
  return html`<div class="error-box" role="alert"><p>${what ? html`<b>${what}</b> ` : null}${text}</p>${
    error.cid ? html`<p class="small muted">Correlation id <code>${error.cid}</code> <${CopyButton} text=${error.cid} label="Copy the correlation id" /></p>` : null}${
    retry ? html`<${Button} small onClick=${retry} icon="reload">Try again<//>` : null}</div>`;
}

/**
 * The states of loaded data in one place: an error above the last data, a skeleton only before
 * the first. `children` is a function of the data.
 * @param {{of: import("./store.js").Loaded<any>, children: (data: any) => any, rows?: number}} props
 */
export function Show({ of, children, rows = 4 }) {
  const { data, error, isFirst, denied, reload } = of;
  if (denied) return html`<p class="pad muted">Not shown: ${denied}.</p>`;
  return html`<${ErrorBox} error=${error} retry=${reload} isKept=${data !== undefined} />${
    data !== undefined ? children(data) : isFirst ? html`<${Skeleton} rows=${rows} />` : null}`;
}

/** @param {{rows?: number}} props */
export function Skeleton({ rows = 4 }) {
  return html`<div class="skeleton" role="status"><span class="sr">Loading</span>${Array.from({ length: rows }, (_, i) => html`<i key=${i} class=${`w${i % 4}`}></i>`)}</div>`;
}

/**
 * Copy text; works without https too.
 * @param {string} text
 * @returns {Promise<boolean>}
 */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "sr";
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const isDone = document.execCommand("copy");
    area.remove();
    return isDone;
  }
}

/** @param {{text: string, label?: string, children?: Children}} props */
export function CopyButton({ text, label = "Copy", children }) {
  const [isDone, setDone] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    if (!(await copyText(text))) return toast("The browser did not copy it; select the text instead.");
    setDone(true);
    timer.current = setTimeout(() => setDone(false), 1500);
  };
  return html`<${Button} kind="quiet" small icon=${isDone ? "check" : "copy"} label=${isDone ? "Copied" : label} onClick=${copy}>${children}<//>`;
}

/**
 * The same action as commands and code: `<${CopyAs} forms=${[["CLI", "zato-lite …"]]} />`.
 * @param {{forms: [string, string][], title?: string}} props
 */
export function CopyAs({ forms, title = "Copy as" }) {
  const [chosen, choose] = useState(forms[0]?.[0] ?? "");
  const text = forms.find(([name]) => name === chosen)?.[1] ?? forms[0]?.[1] ?? "";
  return html`<div class="copy-as"><div class="row"><h3>${title}</h3><span class="grow"></span><${Segments} label=${title} options=${forms.map(([name]) => [name, name])} value=${chosen} onChange=${choose} /><${CopyButton} text=${text} /></div><pre tabindex="0">${text}</pre></div>`;
}
