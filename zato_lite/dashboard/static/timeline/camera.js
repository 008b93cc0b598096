// Camera: which span of time is seen; it follows now until it is moved away.
const LEAST_MS = 10_000, MOST_MS = 14 * 86_400_000;
const UNITS = /** @type {Record<string, number>} */ ({ s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 });

/**
 * Read a span such as "90s", "4h" or "7d".
 * @param {string | undefined} text
 * @param {number} fallback
 */
export function readSpan(text, fallback) {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text ?? "") ?? [];
  return amount ? clamp(Number(amount) * UNITS[unit]) : fallback;
}

/** @param {number} ms */
export function writeSpan(ms) {
  for (const [unit, size] of Object.entries(UNITS).reverse()) if (ms % size === 0) return `${ms / size}${unit}`;
  return `${Math.round(ms / 1000)}s`;
}

/** @param {number} ms */
function clamp(ms) {
  return Math.min(MOST_MS, Math.max(LEAST_MS, ms));
}

export class Camera {
  /**
   * @param {number} span milliseconds
   * @param {number | null} at the middle; null to follow now
   * @param {number} now
   */
  constructor(span, at, now) {
    this.span = span;
    this.from = (at ?? now) - span / 2;
    this.isFollowing = at === null;
  }
  get to() {
    return this.from + this.span;
  }
  get middle() {
    return this.from + this.span / 2;
  }
  /** @param {number} now */
  follow(now) {
    if (this.isFollowing) this.from = now - this.span / 2;
  }
  /**
   * Zoom around a place: 0 is the left edge. Around now the camera goes on following it.
   * @param {number} factor
   * @param {number} place
   */
  zoom(factor, place) {
    const span = clamp(this.span * factor);
    if (this.isFollowing) this.from = this.middle - span / 2;
    else this.from += (this.span - span) * place;
    this.span = span;
  }
  /** @param {number} share of the span */
  pan(share) {
    this.isFollowing = false;
    this.from += share * this.span;
  }
  /** @param {number} ms */
  center(ms) {
    this.isFollowing = false;
    this.from = ms - this.span / 2;
  }
  /** Show an instant, if it is not seen, by moving as little as needed. @param {number} ms */
  reveal(ms) {
    if (ms < this.from + this.span * 0.02) this.pan((ms - this.from) / this.span - 0.2);
    else if (ms > this.to - this.span * 0.02) this.pan((ms - this.to) / this.span + 0.2);
  }
}
