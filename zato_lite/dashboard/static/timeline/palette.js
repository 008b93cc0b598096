// Colours of the canvas, read from the tokens; system colours where those are forced.
import { KINDS } from "./model.js";

const TOKENS = ["surface", "raised", "edge", "edge-strong", "text", "text-2", "text-3", "accent", "on-accent", "future", "focus"];
const OWN = /** @type {Record<string, string>} */ ({ paused: "idle", excluded: "idle" });

/**
 * @typedef {object} Palette
 * @property {Record<string, string>} c colours by token
 * @property {string[]} kinds colours by kind
 * @property {CanvasPattern | string} hatch for missed slots
 * @property {CanvasPattern | string} fine for paused and excluded ones
 * @property {string} font
 */

/**
 * Read the colours for a canvas.
 * @param {HTMLCanvasElement} canvas
 * @returns {Palette}
 */
export function readPalette(canvas) {
  const probe = document.createElement("i");
  canvas.after(probe);
  const colour = (/** @type {string} */ name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const c = Object.fromEntries(TOKENS.map((name) => [name, colour(name)]));
  const kinds = KINDS.map((kind) => colour(OWN[kind] ?? kind));
  const font = getComputedStyle(canvas).fontFamily;
  probe.remove();
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  return { c, kinds, font, hatch: stripes(context, kinds[KINDS.indexOf("missed")], 1.9), fine: stripes(context, kinds[KINDS.indexOf("paused")], 0.9) };
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {string} colour
 * @param {number} width
 */
function stripes(context, colour, width) {
  const size = 8, tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const pen = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  for (const x of [-size, 0, size]) {
    pen.moveTo(x, size);
    pen.lineTo(x + size, 0);
  }
  pen.stroke();
  return context.createPattern(tile, "repeat") ?? colour;
}
