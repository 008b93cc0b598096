// Stage: the canvas with its size, its colours and the frames that are drawn on it.
import { AXIS, draw } from "./draw.js";
import { itemAt } from "./model.js";
import { readPalette } from "./palette.js";
import { serverNow } from "../core/api.js";

/** @typedef {import("./model.js").Lane} Lane */

const SLACK_PX = 5;

export class Stage {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} box scrolls
   * @param {import("./camera.js").Camera} camera
   */
  constructor(canvas, box, camera) {
    this.canvas = canvas;
    this.box = box;
    this.camera = camera;
    this.pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    this.palette = readPalette(canvas);
    this.lanes = /** @type {Lane[]} */ ([]);
    this.lane = 26;
    this.hidden = /** @type {Set<string>} */ (new Set());
    this.hover = -1;
    this.cursor = /** @type {import("./draw.js").Scene["cursor"]} */ (null);
    this.zone = "UTC";
    this.width = this.height = 0;
    this.ratio = 1;
    this.frame = 0;
    this.onDrawn = () => {};
  }

  /** Fit the canvas to its box. */
  resize() {
    const holder = /** @type {HTMLElement} */ (this.canvas.parentElement);
    const height = Math.max(AXIS + this.lane, Math.min(AXIS + this.lanes.length * this.lane, this.box.clientHeight || 1e4));
    const width = Math.max(40, holder.clientWidth), ratio = devicePixelRatio || 1;
    if (width !== this.width || height !== this.height || ratio !== this.ratio) {
      Object.assign(this, { width, height, ratio });
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      this.canvas.style.height = `${height}px`;
      this.palette = readPalette(this.canvas); // patterns belong to a canvas of a size
    }
    this.ask();
  }

  /** Draw at the next frame. */
  ask() {
    this.frame ||= requestAnimationFrame(() => { this.frame = 0; this.drawNow(); });
  }

  drawNow() {
    if (this.width === 0) return;
    const now = serverNow(), { camera } = this;
    camera.follow(now);
    draw(this.pen, {
      width: this.width, height: this.height, ratio: this.ratio, from: camera.from, to: camera.to, now, lanes: this.lanes, lane: this.lane,
      scroll: this.box.scrollTop, hidden: this.hidden, hover: this.hover, cursor: this.cursor, zone: this.zone, palette: this.palette,
    });
    this.onDrawn();
  }

  /**
   * Return the lane and the mark at a place of the canvas.
   * @param {number} x
   * @param {number} y
   */
  at(x, y) {
    const index = y < AXIS ? -1 : Math.floor((y - AXIS + this.box.scrollTop) / this.lane), lane = this.lanes[index];
    if (!lane) return null;
    const ms = this.camera.span / this.width;
    return { index, lane, item: itemAt(lane, this.camera.from + x * ms, SLACK_PX * ms, serverNow(), this.hidden), time: this.camera.from + x * ms };
  }

  /** Place of an instant below its lane, on the canvas. @param {number} index @param {number} ms */
  placeOf(index, ms) {
    return { x: ((ms - this.camera.from) / this.camera.span) * this.width, y: AXIS + index * this.lane - this.box.scrollTop + this.lane };
  }

  end() {
    cancelAnimationFrame(this.frame);
  }
}
