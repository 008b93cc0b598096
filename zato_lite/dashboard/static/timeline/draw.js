// Drawing of the timeline: only what is seen, by colour, merged where marks share a pixel.
import { format } from "../core/time.js";
import { ticksOf } from "./axis.js";
import { firstFrom, KINDS } from "./model.js";

/** @typedef {import("./model.js").Lane} Lane */

/**
 * @typedef {object} Scene
 * @property {number} width
 * @property {number} height
 * @property {number} ratio pixels of the device
 * @property {number} from
 * @property {number} to
 * @property {number} now
 * @property {Lane[]} lanes
 * @property {number} lane height of a lane
 * @property {number} scroll
 * @property {Set<string>} hidden kinds
 * @property {number} hover index of a lane, or -1
 * @property {{lane: number, from: number, until: number} | null} cursor
 * @property {string} zone
 * @property {import("./palette.js").Palette} palette
 */

/** Height of the axis. */
export const AXIS = 34;

const BAR = 12, DETAILED = 14, APART = 15;
const [OK, RUNNING, CANCELLED, SKIPPED, EXCLUDED, PAUSED, MISSED, TIMEOUT, ERROR, LOST] = KINDS.keys();
const HOLLOW = new Set([SKIPPED, CANCELLED, EXCLUDED]);
const TALL = new Set([ERROR, TIMEOUT, LOST]);

/** @type {Float32Array[]} */
const bars = KINDS.map(() => new Float32Array(3 * 1024));
const barCounts = new Int32Array(KINDS.length);
/** @type {number[][]} */
const shapes = KINDS.map(() => []);
const lastShape = new Float64Array(KINDS.length);
/** @type {number[]} */
const coming = [];

/**
 * Draw a frame.
 * @param {CanvasRenderingContext2D} pen
 * @param {Scene} scene
 */
export function draw(pen, scene) {
  const { width, height, lanes, lane, scroll, palette: { c } } = scene;
  pen.setTransform(scene.ratio, 0, 0, scene.ratio, 0, 0);
  pen.fillStyle = c.surface;
  pen.fillRect(0, 0, width, height);
  const first = Math.max(0, Math.floor(scroll / lane)), last = Math.min(lanes.length, Math.ceil((scroll + height - AXIS) / lane));
  const axis = ticksOf(scene.from, scene.to, width, scene.zone);
  background(pen, scene, axis.ticks, first, last);
  barCounts.fill(0);
  for (const list of shapes) list.length = 0;
  coming.length = 0;
  for (let i = first; i < last; i += 1) collect(pen, scene, lanes[i], AXIS - scroll + i * lane);
  ticks(pen, scene);
  fillBars(pen, scene);
  if (lane >= DETAILED) KINDS.forEach((_, kind) => drawShapes(pen, scene, kind));
  cursor(pen, scene);
  drawAxis(pen, scene, axis.ticks);
}

/** @param {Scene} scene */
function scale(scene) {
  return scene.width / (scene.to - scene.from);
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Scene} scene
 * @param {{at: number, isDay: boolean}[]} marks
 * @param {number} first
 * @param {number} last
 */
function background(pen, scene, marks, first, last) {
  const { width, height, lane, hover, palette: { c } } = scene, px = scale(scene), top = AXIS - scene.scroll;
  const x = Math.max(0, (scene.now - scene.from) * px);
  if (x < width) { pen.fillStyle = c.future; pen.fillRect(x, AXIS, width - x, height - AXIS); }
  if (hover >= first && hover < last) { pen.fillStyle = c.raised; pen.fillRect(0, top + hover * lane, width, lane); }
  pen.lineWidth = 1;
  for (const isDay of [false, true]) {
    pen.strokeStyle = isDay ? c["edge-strong"] : c.edge;
    pen.beginPath();
    for (const mark of marks) {
      if (mark.isDay !== isDay) continue;
      const at = Math.round((mark.at - scene.from) * px) + 0.5;
      pen.moveTo(at, AXIS);
      pen.lineTo(at, height);
    }
    if (!isDay && lane >= DETAILED) {
      for (let i = first; i <= last; i += 1) {
        const y = Math.round(top + i * lane) - 0.5;
        pen.moveTo(0, y);
        pen.lineTo(width, y);
      }
    }
    pen.stroke();
  }
}

/**
 * Collect a lane's marks by kind.
 * @param {CanvasRenderingContext2D} pen
 * @param {Scene} scene
 * @param {Lane} it
 * @param {number} y
 */
function collect(pen, scene, it, y) {
  const { from, to, now, lane, hidden } = scene, px = scale(scene), middle = y + lane / 2;
  lastShape.fill(-99);
  for (const range of it.ranges) {
    if (range.until < from || range.from > to || hidden.has(KINDS[range.kind])) continue;
    drawRange(pen, scene, range, y);
  }
  let edge = -9, kindBefore = -1;
  for (let i = firstFrom(it.starts, it.n, from - it.longest); i < it.n && it.starts[i] <= to; i += 1) {
    const kind = it.kinds[i], end = it.ends[i] === Infinity ? now : it.ends[i];
    if (end < from || hidden.has(KINDS[kind])) continue;
    const x = (it.starts[i] - from) * px, wide = Math.max(2.5, (end - it.starts[i]) * px);
    if (kind === kindBefore && x + wide < edge + 0.7) continue; // shows nothing new
    edge = x + wide;
    kindBefore = kind;
    if (HOLLOW.has(kind)) { if (x - lastShape[kind] > 6) { shapes[kind].push(x, middle); lastShape[kind] = x; } continue; }
    addBar(kind, x, middle, wide);
    if (TALL.has(kind) && x - lastShape[kind] > APART) { shapes[kind].push(x, middle); lastShape[kind] = x; }
  }
  if (hidden.has("upcoming")) return;
  let free = -9;
  for (let k = firstFrom(it.coming, it.coming.length, Math.max(from, now)); k < it.coming.length && it.coming[k] < to; k += 1) {
    const x = (it.coming[k] - from) * px;
    if (x < free) continue;
    free = x + 2;
    coming.push(x, middle);
  }
  for (const [start, until] of it.density) {
    const left = Math.max(start, from, now), right = Math.min(until, to);
    for (let x = (left - from) * px; x < (right - from) * px; x += 3) coming.push(x, middle);
  }
}

/**
 * @param {number} kind
 * @param {number} x
 * @param {number} y
 * @param {number} wide
 */
function addBar(kind, x, y, wide) {
  let list = bars[kind];
  const at = barCounts[kind] * 3;
  if (at + 3 > list.length) {
    list = new Float32Array(list.length * 2);
    list.set(bars[kind]);
    bars[kind] = list;
  }
  list[at] = x;
  list[at + 1] = y;
  list[at + 2] = wide;
  barCounts[kind] += 1;
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Scene} scene
 * @param {import("./model.js").Range} range
 * @param {number} y
 */
function drawRange(pen, scene, range, y) {
  const { lane, palette } = scene, px = scale(scene), inset = lane >= DETAILED ? 4 : 0.5;
  const x = Math.max(-4, (range.from - scene.from) * px);
  const wide = Math.min(scene.width + 8, (range.until - scene.from) * px) - x;
  if (range.kind === SKIPPED || range.kind === CANCELLED) {
    if (x - lastShape[range.kind] > APART) { shapes[range.kind].push(x, y + lane / 2); lastShape[range.kind] = x; }
    return;
  }
  const isMissed = range.kind === MISSED, shown = Math.max(isMissed ? 6 : 3, wide);
  pen.fillStyle = isMissed ? palette.hatch : palette.fine;
  pen.globalAlpha = isMissed ? 0.9 : 0.55;
  pen.fillRect(x, y + inset, shown, lane - 2 * inset);
  pen.globalAlpha = 1;
  if (isMissed && lane >= DETAILED) {
    pen.strokeStyle = palette.kinds[MISSED];
    pen.lineWidth = 1;
    pen.strokeRect(x + 0.5, y + inset + 0.5, shown - 1, lane - 2 * inset - 1);
  }
}

/** @param {CanvasRenderingContext2D} pen @param {Scene} scene */
function ticks(pen, scene) {
  const high = Math.max(1.5, Math.min(BAR, scene.lane - 6) / 2);
  pen.strokeStyle = scene.palette.c["text-3"];
  pen.lineWidth = 1.2;
  pen.beginPath();
  for (let k = 0; k < coming.length; k += 2) {
    pen.moveTo(coming[k], coming[k + 1] - high);
    pen.lineTo(coming[k], coming[k + 1] + high);
  }
  pen.stroke();
}

/** @param {CanvasRenderingContext2D} pen @param {Scene} scene */
function fillBars(pen, scene) {
  const base = Math.max(2, Math.min(BAR, scene.lane - 6)), isDetailed = scene.lane >= DETAILED;
  KINDS.forEach((_, kind) => {
    const n = barCounts[kind] * 3, list = bars[kind];
    if (n === 0) return;
    const high = isDetailed && TALL.has(kind) ? base + 4 : base;
    pen.fillStyle = scene.palette.kinds[kind];
    pen.beginPath();
    for (let k = 0; k < n; k += 3) {
      const top = list[k + 1] - high / 2;
      if (isDetailed && list[k + 2] > 6) pen.roundRect(list[k], top, list[k + 2], high, 3);
      else pen.rect(list[k], top, list[k + 2], high);
    }
    pen.fill();
  });
}

/**
 * Draw the shape of a kind, so that colour is not all that tells kinds apart.
 * @param {CanvasRenderingContext2D} pen
 * @param {Scene} scene
 * @param {number} kind
 */
function drawShapes(pen, scene, kind) {
  const list = shapes[kind], colour = scene.palette.kinds[kind], under = scene.palette.c.surface;
  if (list.length === 0) return;
  const r = scene.lane >= 20 ? 6 : 4.5;
  pen.lineWidth = 1.5;
  pen.fillStyle = colour;
  pen.strokeStyle = HOLLOW.has(kind) ? colour : under;
  if (kind === ERROR || kind === TIMEOUT || kind === LOST) { // a plate under the sign
    pen.beginPath();
    for (let k = 0; k < list.length; k += 2) pen.roundRect(list[k], list[k + 1] - r - 0.5, 2 * r, 2 * r + 1, 2);
    pen.fill();
  }
  pen.beginPath();
  for (let k = 0; k < list.length; k += 2) {
    const x = list[k] + (HOLLOW.has(kind) ? 0 : r), y = list[k + 1], s = r * 0.45;
    if (kind === ERROR) { pen.moveTo(x - s, y - s); pen.lineTo(x + s, y + s); pen.moveTo(x + s, y - s); pen.lineTo(x - s, y + s); }
    else if (kind === TIMEOUT) { pen.moveTo(x - s, y - s); pen.lineTo(x + s, y - s); pen.lineTo(x - s, y + s); pen.lineTo(x + s, y + s); pen.closePath(); }
    else if (kind === LOST) { pen.moveTo(x, y - s - 1); pen.lineTo(x, y + 0.5); pen.moveTo(x, y + s); pen.lineTo(x, y + s + 1); }
    else if (kind === SKIPPED) { pen.moveTo(x, y - r); pen.lineTo(x + r, y); pen.lineTo(x, y + r); pen.lineTo(x - r, y); pen.closePath(); }
    else if (kind === CANCELLED) { pen.moveTo(x + r - 1, y); pen.arc(x, y, r - 1, 0, 7); pen.moveTo(x - s - 1, y + s + 1); pen.lineTo(x + s + 1, y - s - 1); }
    else if (kind === EXCLUDED) { pen.moveTo(x + r - 1, y); pen.arc(x, y, r - 1, 0, 7); }
  }
  pen.stroke();
}

/** @param {CanvasRenderingContext2D} pen @param {Scene} scene */
function cursor(pen, scene) {
  if (!scene.cursor) return;
  const px = scale(scene), { lane, from, until } = scene.cursor, y = AXIS - scene.scroll + lane * scene.lane;
  const x = (from - scene.from) * px, wide = Math.max(8, (until - from) * px);
  pen.strokeStyle = scene.palette.c.focus;
  pen.lineWidth = 2;
  pen.strokeRect(x - 3, y + 1.5, wide + 6, scene.lane - 3);
}

/** @param {CanvasRenderingContext2D} pen @param {Scene} scene @param {{at: number, label: string, isDay: boolean}[]} marks */
function drawAxis(pen, scene, marks) {
  const { width, height, palette: { c, font } } = scene, px = scale(scene), x = (scene.now - scene.from) * px;
  pen.fillStyle = c.raised;
  pen.fillRect(0, 0, width, AXIS);
  pen.strokeStyle = c.edge;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(0, AXIS - 0.5);
  pen.lineTo(width, AXIS - 0.5);
  pen.stroke();
  pen.textBaseline = "middle";
  pen.textAlign = "left";
  for (const mark of marks) {
    const at = (mark.at - scene.from) * px;
    if (at > width - 38 || Math.abs(at + 20 - x) < 66) continue;
    pen.font = `${mark.isDay ? 600 : 400} 11.5px ${font}`;
    pen.fillStyle = mark.isDay ? c.text : c["text-2"];
    pen.fillText(mark.label, at + 5, AXIS / 2 + 5);
  }
  if (x < 0 || x > width) return;
  pen.strokeStyle = c.accent;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(x, 20);
  pen.lineTo(x, height);
  pen.stroke();
  const words = `now ${format(scene.now, scene.zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" })}`;
  pen.font = `600 11px ${font}`;
  const wide = pen.measureText(words).width + 14, left = Math.min(width - wide - 2, Math.max(2, x - wide / 2));
  pen.fillStyle = c.accent;
  pen.beginPath();
  pen.roundRect(left, 3, wide, 17, 8.5);
  pen.fill();
  pen.fillStyle = c["on-accent"];
  pen.fillText(words, left + 7, 12);
}
