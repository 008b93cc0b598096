// Live: one stream of events for the whole page, handed on in batches, one a frame at most.
import { effect, signal, untracked } from "../vendor/vendor.js";
import { ROOT } from "./base.js";
import { serverNow } from "./api.js";
import { loadSession, session } from "./session.js";

/** @typedef {{kind: string, data: any, id: string}} LiveEvent */
/** @typedef {"connecting" | "live" | "paused" | "offline"} Connection */

/** State of the stream. */
export const connection = signal(/** @type {Connection} */ ("connecting"));

/** When the stream was lost, in milliseconds; 0 while it is there. */
export const lostAt = signal(0);

/** Grows when everything has to be read again: after a gap, a long absence or a new connection. */
export const refreshes = signal(0);

const KINDS = [
  "gap", "change", "deployment", "run-started", "run-ended", "slot-decided", "job-changed", "jobs-changed", "next", "figures",
];
const MOST_IDS = 500;
const INTEREST_MS = 500;
const HIDDEN_MS = 60_000;
const RETRY_MS = [1000, 2000, 4000, 8000, 15000];
const MOST_WAITING = 5000;

/** @type {Set<{kinds: Set<string> | null, take: (events: LiveEvent[]) => void}>} */
const listeners = new Set();
/** @type {LiveEvent[]} */
let waiting = [];
let frame = 0;
/** @type {EventSource | null} */
let source = null;
let attempts = 0;
let retry = 0;
let hiddenTimer = 0;
let interest = "";
let interestTimer = 0;

/**
 * Listen to events; returns the function that ends it.
 * @param {string[] | null} kinds null for all
 * @param {(events: LiveEvent[]) => void} take gets all events of a frame at once
 * @returns {() => void}
 */
export function onEvents(kinds, take) {
  const listener = { kinds: kinds && new Set(kinds), take };
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/**
 * Ask for events of some jobs only, where there are many; null for those of all jobs.
 * @param {number[] | null} ids
 */
export function setInterest(ids) {
  const wanted = ids && ids.length <= MOST_IDS ? [...ids].sort((a, b) => a - b).join(",") : "";
  clearTimeout(interestTimer);
  if (wanted === interest) return;
  interestTimer = setTimeout(() => {
    interest = wanted;
    if (source !== null) open();
  }, INTEREST_MS);
}

/** Keep the stream open while somebody is signed in and the page is seen. */
export function startLive() {
  effect(() => {
    const isSignedIn = Boolean(session.value);
    untracked(() => (isSignedIn ? source === null && open() : close("connecting")));
  });
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) hiddenTimer = setTimeout(() => source && close("connecting"), HIDDEN_MS);
    else if (session.value && source === null && connection.value !== "paused") {
      open();
      refresh();
    }
  });
  addEventListener("online", () => retry && open());
  addEventListener("pagehide", () => close("connecting"));
  addEventListener("pageshow", (event) => event.persisted && session.value && (open(), refresh()));
}

/** Stop or start the live updates. */
export function toggleLive() {
  if (connection.value === "paused") {
    open();
    refresh();
  } else close("paused");
}

/** Have every part of the page read its data again. */
export function refresh() {
  refreshes.value += 1;
}

function open() {
  close("connecting");
  const kinds = KINDS.join(","), opened = new EventSource(new URL(`zato/events?kinds=${kinds}${interest && `&ids=${interest}`}`, ROOT));
  source = opened;
  for (const kind of KINDS) opened.addEventListener(kind, receive);
  opened.onopen = () => {
    const wasLost = lostAt.value !== 0;
    connection.value = "live";
    lostAt.value = attempts = 0;
    if (wasLost) refresh();
  };
  opened.onerror = () => {
    if (source !== opened) return;
    if (lostAt.value === 0) lostAt.value = serverNow();
    connection.value = "offline";
    if (opened.readyState === EventSource.CLOSED) schedule();
  };
}

/** @param {Connection} state */
function close(state) {
  clearTimeout(retry);
  retry = 0;
  source?.close();
  source = null;
  if (state !== "connecting" || connection.value !== "offline") connection.value = state;
}

/** Try again after the server has refused the stream: the session may have ended. */
function schedule() {
  const wait = RETRY_MS[Math.min(attempts, RETRY_MS.length - 1)] * (0.75 + Math.random() / 2);
  attempts += 1;
  clearTimeout(retry);
  retry = setTimeout(async () => {
    await loadSession();
    if (session.value) open();
  }, wait);
}

/** @param {MessageEvent} event */
function receive(event) {
  if (event.type === "gap" || waiting.length >= MOST_WAITING) {
    waiting = [];
    refresh();
    return;
  }
  waiting.push({ kind: event.type, data: JSON.parse(event.data), id: event.lastEventId });
  if (frame === 0) frame = document.hidden ? setTimeout(deliver, 1000) : requestAnimationFrame(deliver);
}

function deliver() {
  const events = waiting;
  waiting = [];
  frame = 0;
  for (const { kinds, take } of listeners) {
    const wanted = kinds === null ? events : events.filter((event) => kinds.has(event.kind));
    if (wanted.length) take(wanted);
  }
}
