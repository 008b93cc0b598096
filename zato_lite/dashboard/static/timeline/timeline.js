// Timeline: lanes of jobs on a canvas, with the names as links, a tip, a keyboard cursor that
// speaks, a legend that hides kinds, and the same as a table.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/vendor.js";
import { serverNow } from "../core/api.js";
import { pageUrl } from "../core/base.js";
import { say } from "../core/dialog.js";
import { Keys, useKeys } from "../core/keys.js";
import { navigate, setQuery } from "../core/router.js";
import { OutcomeMark, Shape } from "../core/shapes.js";
import { themeChanges } from "../core/theme.js";
import { now, shownZone, zoneMode, zoneName } from "../core/time.js";
import { Button, ErrorBox, Segments, Skeleton } from "../core/ui.js";
import { count, some } from "../core/words.js";
import { Camera, readSpan, writeSpan } from "./camera.js";
import { useLanes } from "./data.js";
import { listen } from "./gestures.js";
import { countKinds, firstFrom, itemAt, nextItem } from "./model.js";
import { Stage } from "./stage.js";
import { MarkTable, sentenceOf, Tip } from "./tip.js";

/** @typedef {import("./model.js").Lane} Lane */
/** @typedef {import("./model.js").Item} Item */

const SPANS = /** @type {[string, string][]} */ ([["1h", "1 h"], ["4h", "4 h"], ["24h", "24 h"], ["7d", "7 d"]]);
const LEGEND = ["ok", "error", "timeout", "running", "skipped", "missed", "cancelled", "lost", "paused", "excluded", "upcoming"];
const ALWAYS = new Set(["ok", "error", "upcoming"]);
const HEIGHTS = /** @type {Record<string, number>} */ ({ wide: 26, medium: 14, dense: 4 });
const MOST_ROWS = 60;

/** @param {Lane} lane @param {Item | null} item */
const hrefOf = (lane, item) => pageUrl(item?.number ? `/jobs/${lane.id}/runs/${item.number}` : `/jobs/${lane.id}`);

/**
 * @param {{filter: Record<string, any>, title?: string, span?: string, at?: string, hide?: string, density?: string, asTable?: boolean,
 *   onQuery?: (changes: Record<string, string | null>) => void, mostLanes?: number, footer?: (data: import("./data.js").LaneData) => any,
 *   zone?: string, withNames?: boolean, future?: boolean}} props onQuery keeps span, at, hide, density and table in the address
 */
export function Timeline({ filter, title = "Timeline", span = "4h", at, hide = "", density = "wide", asTable = false, onQuery, mostLanes = 12, footer, zone, withNames = true }) {
  const boxRef = useRef(/** @type {HTMLDivElement | null} */ (null)), canvasRef = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const camera = useRef(/** @type {Camera | null} */ (null)), stage = useRef(/** @type {Stage | null} */ (null)), held = useRef(false);
  camera.current ??= new Camera(readSpan(span, 4 * 3_600_000), at ? Date.parse(at) || null : null, serverNow());
  const [tip, setTip] = useState(/** @type {{index: number, item: Item | null, x: number, y: number} | null} */ (null));
  const [cursor, setCursor] = useState(/** @type {{index: number, item: Item} | null} */ (null));
  const [seen, setSeen] = useState({ from: 0, to: 0 }), [spanNow, setSpanNow] = useState(camera.current.span), [isFollowing, setFollowing] = useState(camera.current.isFollowing);
  const data = useLanes(filter, () => stage.current?.resize(), () => held.current), { lanes } = data, height = HEIGHTS[density] ?? 26;
  const hidden = new Set(hide.split(",").filter(Boolean)), shown = shownZone(zone);
  void zoneMode.value;

  const addressTimer = useRef(0);
  const moved = () => {
    const it = /** @type {Camera} */ (camera.current);
    stage.current?.ask();
    setSpanNow(it.span);
    setFollowing(it.isFollowing);
    setTip(null);
    clearTimeout(addressTimer.current);
    addressTimer.current = setTimeout(() => onQuery?.({ span: writeSpan(Math.round(it.span / 1000) * 1000), at: it.isFollowing ? null : new Date(it.middle).toISOString().slice(0, 19) + "Z" }), 400);
  };
  const zoom = (/** @type {number} */ factor, place = 0.5) => { camera.current?.zoom(factor, place); moved(); };
  const toNow = () => { const it = /** @type {Camera} */ (camera.current); it.isFollowing = true; moved(); };
  const chooseSpan = (/** @type {string} */ text) => { const it = /** @type {Camera} */ (camera.current); it.zoom(readSpan(text, it.span) / it.span, 0.5); moved(); };

  const open = (/** @type {Lane} */ lane, /** @type {Item} */ item) => {
    const it = /** @type {Camera} */ (camera.current);
    if (item.number && item.count > 1) { // several under one mark: come closer
      it.center((item.from + item.until) / 2);
      it.zoom(Math.max(10_000, 3 * (item.until - item.from)) / it.span, 0.5);
      moved();
    } else if (item.number) void navigate(hrefOf(lane, item));
    else if (item.kind !== "upcoming") askWhy(lane, item);
  };

  useLayoutEffect(() => {
    const canvas = /** @type {HTMLCanvasElement} */ (canvasRef.current), box = /** @type {HTMLElement} */ (boxRef.current);
    if (!canvas) return undefined;
    const it = new Stage(canvas, box, /** @type {Camera} */ (camera.current));
    stage.current = it;
    let told = -500, timer = 0;
    const tell = () => { timer = 0; told = performance.now(); setSeen({ from: it.camera.from, to: it.camera.to }); };
    it.onDrawn = () => {
      data.see(it.camera.from, it.camera.to, it.width);
      timer ||= setTimeout(tell, Math.max(0, told + 500 - performance.now()));
    };
    const point = (/** @type {number} */ x, /** @type {number} */ y) => {
      const found = it.at(x, y);
      held.current = true;
      if (it.hover !== (found?.index ?? -1)) { it.hover = found?.index ?? -1; it.ask(); }
      setTip((old) => !found ? null : old && old.index === found.index && old.item?.from === found.item?.from && old.item?.kind === found.item?.kind ? old : { index: found.index, item: found.item, x, y });
    };
    const leave = () => { held.current = false; it.hover = -1; it.ask(); setTip(null); };
    const press = (/** @type {number} */ x, /** @type {number} */ y) => { const found = it.at(x, y); if (found?.item) open(found.lane, found.item); };
    const end = listen(canvas, { zoom, pan: (share) => { it.camera.pan(share); moved(); }, point, leave, press });
    const observer = new ResizeObserver(() => it.resize());
    observer.observe(box);
    return () => { end(); observer.disconnect(); it.end(); clearTimeout(timer); stage.current = null; };
  }, [asTable]);
  useLayoutEffect(() => {
    const it = stage.current;
    if (!it) return;
    Object.assign(it, { lanes, lane: height, zone: shown, hidden, cursor: cursor && { lane: cursor.index, from: cursor.item.from, until: cursor.item.until } });
    it.resize();
  }, [lanes, height, shown, hide, cursor, asTable]);
  useEffect(() => { const it = stage.current; if (it) { it.width = 0; it.resize(); } }, [themeChanges.value]);
  useEffect(() => stage.current?.ask(), [now.value]);
  useEffect(() => { if (asTable) { const it = /** @type {Camera} */ (camera.current); it.follow(serverNow()); data.see(it.from, it.to, 900); setSeen({ from: it.from, to: it.to }); } }, [asTable, spanNow, isFollowing]);

  const point = (/** @type {number} */ index, /** @type {Item} */ item) => {
    const it = stage.current;
    if (!it) return;
    it.camera.reveal(item.from);
    moved();
    const top = index * height;
    if (top < it.box.scrollTop) it.box.scrollTop = top;
    else if (top + height > it.box.scrollTop + it.height - 34) it.box.scrollTop = top + height - it.height + 34;
    setCursor({ index, item });
    setTip({ index, item, ...it.placeOf(index, item.from) });
    say(sentenceOf(lanes[index], item, serverNow()), { now: true });
  };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const acted = keyAction(event.key, { lanes, cursor, hidden, middle: /** @type {Camera} */ (camera.current).middle, point, open, clear: () => { setCursor(null); setTip(null); } });
    if (acted) event.preventDefault();
  };
  const toggleTable = () => onQuery?.({ table: asTable ? null : "1" });
  useKeys([
    { keys: "+", words: "zoom in", group: "Timeline", run: () => zoom(0.6) }, { keys: "-", words: "zoom out", group: "Timeline", run: () => zoom(1 / 0.6) }, { keys: "0", words: "back to now", group: "Timeline", run: toNow },
    { keys: "t", words: "as a table and back", group: "Timeline", run: toggleTable },
    { keys: "w", words: "why, at the cursor", group: "Timeline", run: () => cursor && lanes[cursor.index] && askWhy(lanes[cursor.index], cursor.item) },
  ]);
  const counts = countKinds(lanes, seen.from, seen.to, now.value);
  const toggle = (/** @type {string} */ kind) => { const next = new Set(hidden); if (!next.delete(kind)) next.add(kind); onQuery?.({ hide: [...next].join(",") || null }); };
  const summary = `${some(lanes.length, "job")}: ${LEGEND.filter((kind) => counts[kind]).map((kind) => `${count(counts[kind])} ${kind === "upcoming" ? "coming" : kind}`).join(", ") || "no runs in this span"}`;
  const itemsOf = (/** @type {Lane} */ lane) => visibleItems(lane, seen.from, seen.to, hidden);
  const shownTip = tip && lanes[tip.index] ? tip : null;

  return html`<div class="timeline"><header class="toolbar"><h2>${title}</h2><${Segments} label="Span" options=${SPANS} value=${SPANS.find(([key]) => readSpan(key, 0) === spanNow)?.[0] ?? ""} onChange=${chooseSpan} />
      <span class="row tight"><${Button} icon="minus" label="Zoom out" keys="-" onClick=${() => zoom(1 / 0.6)} /><${Button} icon="plus" label="Zoom in" keys="+" onClick=${() => zoom(0.6)} />${isFollowing ? null : html`<${Button} onClick=${toNow} keys="0">Now<//>`}
      <${Button} kind="quiet" label=${asTable ? "Show as lanes" : "Show as a table"} icon=${asTable ? "overview" : "jobs"} keys="t" onClick=${toggleTable} /></span><span class="grow"></span>
      <div class="legend row" role="group" aria-label="Shown kinds">${LEGEND.filter((kind) => ALWAYS.has(kind) || counts[kind] || hidden.has(kind)).map((kind) => html`<button key=${kind} class="chip" type="button" aria-pressed=${hidden.has(kind) ? "false" : "true"} onClick=${() => toggle(kind)}><${OutcomeMark} o=${kind} /><b>${data.total === undefined ? "–" : count(counts[kind] ?? 0)}</b></button>`)}</div></header>
    <${ErrorBox} error=${data.error} retry=${data.reload} isKept=${data.total !== undefined} />
    ${asTable ? html`<${MarkTable} lanes=${lanes} items=${itemsOf} now=${now.value} hrefOf=${hrefOf} />` : html`<div class=${`lanes ${density} ${withNames ? "" : "nameless"}`} ref=${boxRef} style=${{ maxHeight: `${34 + mostLanes * 26}px` }} onScroll=${() => stage.current?.ask()}>
      ${withNames ? html`<div class="lane-names"><div class="lane-head tiny muted">${zoneMode.value === "job" && !zone ? "UTC" : zoneName(shown)}</div>${lanes.map((lane, i) => html`<a key=${lane.id} href=${hrefOf(lane, null)} title=${`${lane.name}\n${lane.words}`} data-on=${tip?.index === i || undefined}><${Shape} o=${lane.state === "active" ? (lane.outcome ?? "upcoming") : lane.state} words=${lane.state} /><bdi class="cut grow"><i>${lane.name.slice(0, lane.name.lastIndexOf(".") + 1)}</i>${lane.name.slice(lane.name.lastIndexOf(".") + 1)}</bdi><span class="when cut">${short(lane.words)}</span></a>`)}</div>` : null}
      <div class="lane-canvas" role="application" tabindex="0" aria-label=${`${title} of ${summary}. Arrow keys move between runs and jobs, Enter opens, T shows a table.`} onKeyDown=${onKey} onBlur=${() => { setCursor(null); setTip(null); }}><div class="lane-sticky"><canvas ref=${canvasRef} role="img" aria-label=${summary}></canvas></div></div></div>${
      shownTip ? html`<${Tip} lane=${lanes[shownTip.index]} item=${shownTip.item} now=${now.value} x=${shownTip.x} y=${shownTip.y} canvas=${canvasRef.current} />` : null}`}
    ${data.isFirst ? html`<${Skeleton} rows=${6} />` : null}
    <footer class="foot tiny muted">${footer?.(data)}<span class="grow"></span><span class="hints"><${Keys} keys="← →" /> run <${Keys} keys="↑ ↓" /> job <${Keys} keys="+ −" /> zoom <${Keys} keys="w" /> why <${Keys} keys="t" /> table</span></footer></div>`;
}

/** Open the panel that says why. @param {Lane} lane @param {Item} item */
function askWhy(lane, item) {
  setQuery({ why: new Date(item.from).toISOString(), why_job: String(lane.id) }, { replace: false });
}

/** "5 min" for "every 5 minutes": the names leave little room. @param {string} words */
function short(words) {
  return words.replace(/^every (?=\d)/, "").replace(/^every day at /, "daily ").replace(/^every (second|minute|hour|day|week)$/, "1 $1").replace(/ minutes?\b/g, " min").replace(/ seconds?\b/g, " s").replace(/ hours?\b/g, " h");
}

/**
 * Act on a key of the cursor; returns true if the key has a meaning.
 * @param {string} key
 * @param {{lanes: Lane[], cursor: {index: number, item: Item} | null, hidden: Set<string>, middle: number,
 *   point: (index: number, item: Item) => void, open: (lane: Lane, item: Item) => void, clear: () => void}} it
 */
function keyAction(key, { lanes, cursor, hidden, middle, point, open, clear }) {
  const at = cursor && lanes[cursor.index] ? cursor : null, t = serverNow();
  const sideways = { ArrowRight: 1, ArrowLeft: -1 }[key], down = { ArrowDown: 1, ArrowUp: -1 }[key];
  if (key === "Escape" && at) { clear(); return true; }
  if (key === "Enter" && at) { open(lanes[at.index], at.item); return true; }
  if (sideways && lanes.length) {
    const index = at?.index ?? 0, item = nextItem(lanes[index], at?.item.from ?? Math.min(middle, t), /** @type {1 | -1} */ (at ? sideways : -1), t, hidden);
    if (item) point(index, item);
    return true;
  }
  if (down && lanes.length) {
    for (let index = at ? at.index + down : 0; index >= 0 && index < lanes.length; index += down) {
      const from = at?.item.from ?? Math.min(middle, t), item = itemAt(lanes[index], from, 1, t, hidden) ?? nextItem(lanes[index], from, -1, t, hidden) ?? nextItem(lanes[index], from, 1, t, hidden);
      if (item) { point(index, item); break; }
    }
    return true;
  }
  return false;
}

/** @param {Lane} lane @param {number} from @param {number} to @param {Set<string>} hidden @returns {Item[]} */
function visibleItems(lane, from, to, hidden) {
  const items = [], t = serverNow();
  let at = lane.n ? lane.starts[Math.max(0, firstFrom(lane.starts, lane.n, from) - 1)] - 1 : from - 1;
  while (items.length < MOST_ROWS) {
    const item = nextItem(lane, at, 1, t, hidden);
    if (!item || item.from > to) break;
    at = item.from;
    if (item.until >= from) items.push(item);
  }
  return items;
}
