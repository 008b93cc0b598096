// Shell: the rail with the pages, the bar of a page, and what is above all pages.
import { html, useEffect, useLayoutEffect, useRef } from "../vendor/vendor.js";
import { pageUrl } from "./base.js";
import { LiveRegion, Menu, Toasts, toast } from "./dialog.js";
import { focusLate, KeySheet, lettersOn, showKeys, useKeys } from "./keys.js";
import { connection, lostAt, toggleLive } from "./live.js";
import { arrival, navigate, place } from "./router.js";
import { GlobalSearch } from "./search.js";
import { role, session, signOut } from "./session.js";
import { theme, setTheme } from "./theme.js";
import { format, MINE, MODES, nextZoneMode, setZoneMode, shownZone, zoneMode, zoneName } from "./time.js";
import { Icon, Segments } from "./ui.js";
import { count } from "./words.js";
import { counts } from "./counts.js";

/** Pages in the rail: key, path, words, icon, and whether the phone's bar has room for it. */
const ITEMS = /** @type {[string, string, string, string, boolean][]} */ ([
  ["overview", "/", "Overview", "overview", true],
  ["jobs", "/jobs", "Jobs", "jobs", true],
  ["runs", "/runs", "Runs", "runs", true],
  ["services", "/services", "Services", "services", true],
  ["calendars", "/calendars", "Calendars", "calendars", false],
  ["forecast", "/forecast", "Forecast", "forecast", false],
  ["nodes", "/nodes", "Nodes", "nodes", false],
  ["people", "/people", "Users and keys", "people", false],
  ["audit", "/audit", "Audit", "audit", false],
]);

/** @param {{current: string}} props */
export function Rail({ current }) {
  const items = ITEMS.map(([key, path, words, icon, isOnPhone]) => html`<a key=${key} class=${`item ${isOnPhone ? "" : "more"} ${key === "nodes" ? "after-gap" : ""}`} href=${pageUrl(path)}
    aria-current=${key === current ? "page" : undefined} title=${words}><${Icon} name=${icon} /><span class="words">${words}</span>${
    counts.value[key] === undefined ? null : html`<span class="count">${count(counts.value[key])}</span>`}</a>`);
  const rest = ITEMS.filter(([, , , , isOnPhone]) => !isOnPhone).map(([, path, words, icon]) => ({ words, icon, href: pageUrl(path) }));
  return html`<nav class="rail" aria-label="Pages">
    <a class="brand" href=${pageUrl("/")} aria-label="zato-lite, overview"><svg viewBox="0 0 24 24" aria-hidden="true"><rect width="24" height="24" rx="6.500" fill="var(--accent)" /><path d="M6 8h7.500M8.500 12h9.500M6 16h6" stroke="var(--on-accent)" stroke-width="2.300" stroke-linecap="round" /></svg><span class="words">zato-lite</span></a>
    ${items}<div class="phone-more"><${Menu} label="More pages" icon="menu" items=${rest} /></div>
    <span class="grow"></span><${Account} /></nav>`;
}

function Account() {
  const now = session.value;
  if (!now) return null;
  const leave = (/** @type {boolean} */ everywhere) => async () => {
    try {
      await signOut(everywhere);
      void navigate("/login", {}, { force: true });
    } catch (error) {
      toast(`Signing out failed: ${/** @type {Error} */ (error).message}`);
    }
  };
  const themes = /** @type {const} */ ([["", "Colours of the system"], ["light", "Light colours"], ["dark", "Dark colours"]]);
  const zones = { job: "Times in the job's zone", mine: `Times in ${zoneName(MINE)}`, utc: "Times in UTC" };
  return html`<div class="account"><${Menu} label=${`${now.name} · ${role() || "no role"}: your account`} named icon="user" items=${[
    ...MODES.map((key) => ({ words: zones[key], icon: zoneMode.value === key ? "check" : "", run: () => setZoneMode(key) })),
    ...themes.map(([key, words]) => ({ words, icon: theme.value === key ? "check" : "", run: () => setTheme(key) })),
    { words: "Keys", icon: "help", keys: "?", run: showKeys },
    { words: "Sign out", icon: "right", run: leave(false) },
    { words: "Sign out everywhere", run: leave(true) },
  ]}><span class="sr">Your account: </span><span class="words"><b>${now.name}</b> · ${role() || "no role"}</span><//><span class="words version muted">zato-lite ${now.version}</span></div>`;
}

/** The dot that says if what is seen is live. */
export function LiveDot() {
  const state = connection.value;
  const since = lostAt.value ? format(lostAt.value, shownZone(), { hour: "2-digit", minute: "2-digit" }) : "";
  const words = { connecting: "Connecting", live: "Live", paused: "Paused", offline: `Not connected since ${since}, trying again` }[state];
  const title = state === "paused" ? "Updates are paused; press to go on (l)" : state === "live" ? "Updates come as they happen; press to pause them (l)" : words;
  return html`<button class=${`live ${state}`} type="button" title=${title} aria-pressed=${state === "paused" ? "true" : "false"} onClick=${toggleLive}><i></i><span>${words}</span></button>`;
}

function ZoneSwitch() {
  const options = { job: ["Job", "Each time in the zone of its job"], mine: [zoneName(MINE), `The zone of this browser: ${MINE}`], utc: ["UTC", "Coordinated universal time"] };
  return html`<${Segments} cls="zones" label="Times are shown in" value=${zoneMode.value} onChange=${setZoneMode} options=${MODES.map((key) => [key, ...options[key]])} />`;
}

/**
 * The frame of a page: `<${Page} title="Jobs" actions=${…}>…`. Sets the window's title.
 * @param {{title: string, heading?: any, crumbs?: [string, string][], actions?: any, children?: any, cls?: string}} props
 *   crumbs: path and words of the pages above
 */
export function Page({ title, heading, crumbs = [], actions, children, cls = "" }) {
  const top = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => { document.title = `${title} · zato-lite`; }, [title]);
  useLayoutEffect(() => {
    if (arrival.isDue) focusLate(top.current);
    arrival.isDue = false;
    return () => { arrival.isDue ||= document.activeElement === top.current; }; // for the page in its place
  }, [place.value.path]);
  return html`<main id="content" class=${cls} tabindex="-1"><header class="bar">
      <h1 ref=${top} tabindex="-1" title=${title}>${crumbs.map(([path, words]) => html`<a class="crumb" key=${path} href=${pageUrl(path)}>${words}</a><span class="crumb" aria-hidden="true"> / </span>`)}${heading ?? title}</h1>
      <${LiveDot} /><span class="grow"></span><${GlobalSearch} /><${ZoneSwitch} /><div class="actions">${actions}</div></header>${children}</main>`;
}

/** @param {{current: string, children: any}} props */
export function Shell({ current, children }) {
  const go = (/** @type {string} */ path) => () => void navigate(path, {});
  useKeys([
    { keys: "?", words: "this sheet", group: "Everywhere", run: showKeys },
    { keys: "/", words: "search", group: "Everywhere", run: () => /** @type {HTMLElement | null} */ (document.querySelector(".search input"))?.focus() },
    ...ITEMS.map(([key, path, words]) => ({ keys: `g ${key === "overview" ? "o" : key === "people" ? "u" : key[0]}`, words: `go to ${words}`, group: "Everywhere", run: go(path) })),
    { keys: "n", words: "new job", group: "Everywhere", run: go("/jobs/new") },
    { keys: "l", words: "pause or go on with live updates", group: "Everywhere", run: toggleLive },
    { keys: "z", words: "next time zone", group: "Everywhere", run: () => toast(`Times are shown in ${{ job: "each job's zone", mine: MINE, utc: "UTC" }[nextZoneMode()]}.`) },
  ]);
  return html`<a class="skip" href="#content" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); document.getElementById("content")?.focus(); }}>Skip to content</a>
    <${Rail} current=${current} />${children}<${Overlays} />`;
}

/** What is above every page, also the one for the sign-in. */
export function Overlays() {
  void lettersOn.value, place.value;
  return html`<${Toasts} /><${LiveRegion} /><${KeySheet} />`;
}
