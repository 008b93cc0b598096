// Gestures on the timeline: drag to move, two fingers or a wheel with Ctrl to zoom, press to open.

/**
 * @typedef {object} Actions
 * @property {(factor: number, at: number) => void} zoom at: 0 for the left edge, 1 for the right
 * @property {(share: number) => void} pan by a share of the span, to the right if positive
 * @property {(x: number, y: number) => void} point the pointer is at a place of the canvas
 * @property {() => void} leave
 * @property {(x: number, y: number) => void} press
 */

const STILL = 4;

/**
 * Listen to gestures; returns the function that ends it.
 * @param {HTMLCanvasElement} canvas
 * @param {Actions} actions
 */
export function listen(canvas, actions) {
  /** @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();
  let travelled = 0, distance = 0;

  const wheel = (/** @type {WheelEvent} */ event) => {
    if (event.ctrlKey || event.metaKey) actions.zoom(Math.exp(event.deltaY / (event.deltaMode ? 12 : 300)), event.offsetX / canvas.clientWidth);
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) actions.pan((event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX) / canvas.clientWidth);
    else return; // the page scrolls
    event.preventDefault();
  };
  const down = (/** @type {PointerEvent} */ event) => {
    if (event.button !== 0) return;
    fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    travelled = 0;
    distance = 0;
    canvas.setPointerCapture(event.pointerId);
  };
  const move = (/** @type {PointerEvent} */ event) => {
    const finger = fingers.get(event.pointerId);
    if (!finger) return actions.point(event.offsetX, event.offsetY);
    const dx = event.offsetX - finger.x;
    travelled += Math.abs(dx) + Math.abs(event.offsetY - finger.y);
    Object.assign(finger, { x: event.offsetX, y: event.offsetY });
    if (fingers.size === 2) pinch();
    else if (travelled > STILL) {
      actions.pan(-dx / canvas.clientWidth);
      actions.leave();
    }
    return undefined;
  };
  const pinch = () => {
    const [a, b] = [...fingers.values()], apart = Math.max(20, Math.abs(a.x - b.x));
    if (distance) actions.zoom(distance / apart, (a.x + b.x) / 2 / canvas.clientWidth);
    distance = apart;
  };
  const up = (/** @type {PointerEvent} */ event) => {
    const isPress = fingers.size === 1 && travelled <= STILL;
    fingers.delete(event.pointerId);
    if (isPress && event.type === "pointerup") actions.press(event.offsetX, event.offsetY);
  };
  const leave = (/** @type {PointerEvent} */ event) => { if (event.pointerType === "mouse") actions.leave(); };

  canvas.addEventListener("wheel", wheel, { passive: false });
  canvas.addEventListener("pointerdown", down);
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", leave);
  return () => {
    canvas.removeEventListener("wheel", wheel);
    canvas.removeEventListener("pointerdown", down);
    canvas.removeEventListener("pointermove", move);
    canvas.removeEventListener("pointerup", up);
    canvas.removeEventListener("pointercancel", up);
    canvas.removeEventListener("pointerleave", leave);
  };
}
