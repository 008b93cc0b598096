// Tracebacks: the frames of the user's own files, without those of libraries.

const LIBRARY = /[\\/](site-packages|zato_lite|lib[\\/]python3[^\\/]*)[\\/]|^<frozen /;

/**
 * Return a traceback without the frames of libraries, and their number; 0 if all are.
 *
 * @param {string} text
 * @returns {{own: string, folded: number}}
 */
export function ownFrames(text) {
  /** @type {string[]} */
  const kept = [];
  let folded = 0, isOwn = 0, isFolding = false;
  for (const line of text.split("\n")) {
    const file = /^\s+File "(.*?)", line \d/.exec(line);
    if (file) isFolding = LIBRARY.test(file[1] ?? "");
    else if (!line.startsWith("    ")) isFolding = false;
    if (file) isFolding ? (folded += 1) : (isOwn += 1);
    if (!isFolding) kept.push(line);
  }
  return isOwn ? { own: kept.join("\n"), folded } : { own: text, folded: 0 };
}
