// Numbers and durations in words.

const COUNT = new Intl.NumberFormat("en-US");

/**
 * "10,001"; a dash for nothing.
 * @param {number | null | undefined} value
 */
export function count(value) {
  return value === null || value === undefined ? "–" : COUNT.format(value);
}

/**
 * "1 job", "2 jobs".
 * @param {number} value
 * @param {string} noun
 * @param {string} [plural]
 */
export function some(value, noun, plural = `${noun}s`) {
  return `${COUNT.format(value)} ${value === 1 ? noun : plural}`;
}

/**
 * "98.1 %", "0.02 %", "100 %": never 100 or 0 for a share that only is close to it.
 * @param {number | null | undefined} share from 0 to 1
 */
export function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return "–";
  const value = share * 100;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  if (value < 100 && value > 99.9) return "> 99.9 %";
  return `${value < 10 && value % 1 ? value.toFixed(1) : value < 99 || value === 100 ? Math.round(value) : value.toFixed(1)} %`;
}

/**
 * A duration as people say it: "0.4 ms", "38 ms", "6.4 s", "4:51 min", "3 h 20 min", "2 days".
 * @param {number | null | undefined} ms
 * @returns {string}
 */
export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms < 10) return `${trimmed(ms, ms < 1 ? 2 : 1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9950) return `${trimmed(ms / 1000, 1)} s`;
  if (ms < 59_500) return `${Math.round(ms / 1000)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 600 && seconds % 60) return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} min`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return parts(Math.floor(minutes / 60), "h", minutes % 60, "min");
  const hours = Math.round(minutes / 60);
  return hours % 24 && hours < 240 ? `${some(Math.floor(hours / 24), "day")} ${hours % 24} h` : some(Math.round(hours / 24), "day");
}

/**
 * @param {number} value
 * @param {number} digits
 */
function trimmed(value, digits) {
  return String(Number(value.toFixed(digits)));
}

/**
 * @param {number} first
 * @param {string} unit
 * @param {number} second
 * @param {string} smaller
 */
function parts(first, unit, second, smaller) {
  return second ? `${first} ${unit} ${second} ${smaller}` : `${first} ${unit}`;
}

/**
 * "in 38 s", "4 min ago", "just now": in steps, so that a list does not flicker.
 * @param {number} ms from now; negative for the past
 */
export function relative(ms) {
  const far = Math.abs(ms);
  if (far < 1000) return ms < 0 ? "just now" : "now";
  const text = far < 60_000 ? `${Math.floor(far / 1000)} s`
    : far < 3_600_000 ? `${Math.floor(far / 60_000)} min`
    : far < 172_800_000 ? `${Math.floor(far / 3_600_000)} h`
    : some(Math.round(far / 86_400_000), "day"); // a key for 30 days has not 29 at once
  return ms > 0 ? `in ${text}` : `${text} ago`;
}

/**
 * "1.2 kB".
 * @param {number | null | undefined} bytes
 */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes, unit = 0;
  while (value >= 999.5 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
